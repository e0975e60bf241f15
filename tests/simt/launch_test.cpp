#include "kernels/cuda/simt/launch.h"

#include <cmath>

#include "kernels/cuda/simt/atomics.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/grid_barrier.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/memory.h"
#include "tests/simt/machines.h"

namespace mfs::core::MFS_SIMT_BACKEND {
namespace {

using namespace mfs::core::simt;

MFS_KERNEL void indices_kernel(uint32_t* out) {
  const Index3 t = thread_index(), b = block_index(), n = block_size(), g = grid_size();
  const unsigned block = (b.z * g.y + b.y) * g.x + b.x;
  const unsigned thread = (t.z * n.y + t.y) * n.x + t.x;
  out[block * n.x * n.y * n.z + thread] = block << 16 | thread;
}

MFS_KERNEL void poison_kernel(float* out) {
  out[thread_index().x] = reinterpret_cast<float*>(shared_memory())[thread_index().x];
}

// All blocks wait for each other, twice.
MFS_KERNEL void grid_barrier_kernel(uint32_t* barrier, uint32_t* values, uint32_t* sums) {
  const unsigned blocks = grid_size().x;
  for (unsigned round = 1; round <= 2; ++round) {
    if (thread_index().x == 0) values[block_index().x] = round * (block_index().x + 1);
    sync_block();
    if (thread_index().x == 0) {
      meet_grid(barrier, blocks, block_index().x == 0);
      uint32_t sum = 0;
      for (unsigned i = 0; i < blocks; ++i) sum += load(values + i);
      sums[(round - 1) * blocks + block_index().x] = sum;
      meet_grid(barrier, blocks, block_index().x == 0);
    }
    sync_block();
  }
}

}  // namespace
}  // namespace mfs::core::MFS_SIMT_BACKEND

namespace mfs::test {
namespace {

using namespace core::emulated;

simt::LaunchShape shape(simt::Dim3 grid, simt::Dim3 block, size_t shared = 0) {
  return {.name = "test kernel", .grid = grid, .block = block, .shared_bytes = shared};
}

TEST_CASE("every thread of every block runs once and knows its place") {
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    std::vector<uint32_t> out(2 * 3 * 2 * 24, ~0u);
    REQUIRE(run(options, shape({2, 3, 2}, {4, 3, 2}), indices_kernel, out.data()) == "");
    for (unsigned i = 0; i < out.size(); ++i) CHECK(out[i] == ((i / 24) << 16 | i % 24));
  }
}

TEST_CASE("shared memory starts as NaN") {
  std::vector<float> out(64, 0.f);
  REQUIRE(run(Options{}, shape({1}, {64}, 256), poison_kernel, out.data()) == "");
  for (const float x : out) CHECK(std::isnan(x));
}

TEST_CASE("cooperative launch: a barrier over the whole grid") {
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    uint32_t barrier = 0;
    std::vector<uint32_t> values(7), sums(14);
    simt::LaunchShape s = shape({7}, {32});
    s.cooperative = true;
    // The barrier serves launch after launch.
    for (int launch = 0; launch < 2; ++launch)
      REQUIRE(run(options, s, grid_barrier_kernel, &barrier, values.data(), sums.data()) == "");
    for (unsigned i = 0; i < 14; ++i) CHECK(sums[i] == (i < 7 ? 28 : 56));
  }
  uint32_t barrier = 0;
  std::vector<uint32_t> values(7), sums(14);
  const std::string message = run(Options{}, shape({7}, {32}), grid_barrier_kernel, &barrier, values.data(), sums.data());
  CHECK(contains(message, "wait_for_flip"));  // not cooperative: blocks that are not resident never come
}

TEST_CASE("host-side limits are refused in words") {
  using simt::check;
  CHECK(check(shape({1}, {1024}, 232448)));
  CHECK(contains(check(shape({1}, {32}, 232449)).message(), "shared memory"));
  CHECK(contains(check(shape({1}, {1025})).message(), "1024 threads"));
  CHECK(contains(check(shape({1}, {1, 1, 65})).message(), "1024 threads"));
  CHECK(contains(check(shape({1, 65536}, {32})).message(), "exceeds"));
  CHECK(contains(check(shape({0}, {32})).message(), "zero"));
  simt::LaunchShape s = shape({6, 4}, {32});
  s.cluster = {2, 2};
  CHECK(check(s));
  s.cluster = {4};
  CHECK(contains(check(s).message(), "not divisible"));
  s.cluster = {3, 4};
  CHECK(contains(check(s).message(), "exceeds 8 blocks"));
  s = shape({1}, {384});
  s.registers_per_thread = 168;
  CHECK(check(s));
  s.registers_per_thread = 169;
  CHECK(contains(check(s).message(), "registers"));
  s.name = nullptr;
  CHECK(!check(s));
}

}  // namespace
}  // namespace mfs::test
