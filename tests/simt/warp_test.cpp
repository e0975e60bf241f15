#include "kernels/cuda/simt/shuffle.h"

#include "kernels/cuda/simt/atomics.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/index.h"
#include "tests/simt/machines.h"

namespace mfs::core::MFS_SIMT_BACKEND {
namespace {

using namespace mfs::core::simt;

// Shuffles in warps, named barriers between two halves of the block, a sum over the block in shared memory.
MFS_KERNEL void reduce_kernel(const float* in, float* out, unsigned n) {
  float* partial = reinterpret_cast<float*>(shared_memory());
  const unsigned t = thread_index().x;
  float sum = 0;
  for (unsigned i = block_index().x * block_size().x + t; i < n; i += block_size().x * grid_size().x) sum += in[i];
  for (unsigned step = 16; step > 0; step /= 2) sum += shuffle_xor(sum, step);
  if (lane_index() == 0) partial[warp_index()] = sum;
  sync_block();
  if (warp_index() == 0) {
    float total = lane_index() < block_size().x / 32 ? partial[lane_index()] : 0.f;
    for (unsigned step = 16; step > 0; step /= 2) total += shuffle_down(total, step);
    if (lane_index() == 0) atomic_add(out, total);
  }
}

// Warp 0 and 1 hand numbers to warps 2 and 3 through one buffer.
MFS_KERNEL void hand_over_kernel(uint32_t* out) {
  uint32_t* buffer = reinterpret_cast<uint32_t*>(shared_memory());
  const unsigned t = thread_index().x;
  for (unsigned round = 0; round < 5; ++round) {
    if (t < 64) {
      if (round > 0) sync_named(2, 128);
      buffer[t] = round * 100 + t;
      arrive_named(1, 128);
    } else {
      sync_named(1, 128);
      out[round * 64 + t - 64] = buffer[t - 64];
      if (round < 4) arrive_named(2, 128);
    }
  }
}

MFS_KERNEL void vote_kernel(uint32_t* out) {
  const unsigned lane = lane_index();
  out[lane] = vote_ballot(lane % 3 == 0);
  if (lane < 8) {
    out[32 + lane] = shuffle_from(lane * 10, 7 - lane, 0xff) + (vote_any(lane == 3, 0xff) ? 1000 : 0);
  } else {
    out[32 + lane] = shuffle_xor(lane, 4, 0xffffff00) + (vote_all(lane > 8, 0xffffff00) ? 1000 : 0);
  }
}

}  // namespace
}  // namespace mfs::core::MFS_SIMT_BACKEND

namespace mfs::test {
namespace {

using namespace core::emulated;

TEST_CASE("a sum over the grid") {
  std::vector<float> in(1000);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 17);
  float expected = 0;
  for (const float x : in) expected += x;
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    float out = 0;
    const simt::LaunchShape shape{.name = "reduce", .grid = {3}, .block = {128}, .shared_bytes = 16};
    REQUIRE(run(options, shape, reduce_kernel, in.data(), &out, 1000u) == "");
    CHECK(out == expected);
  }
}

TEST_CASE("named barriers hand over a buffer") {
  for (const Options& options : schedules(5)) {
    CAPTURE(text(options));
    std::vector<uint32_t> out(5 * 64);
    const simt::LaunchShape shape{.name = "hand over", .grid = {2}, .block = {128}, .shared_bytes = 256};
    REQUIRE(run(options, shape, hand_over_kernel, out.data()) == "");
    for (unsigned i = 0; i < out.size(); ++i) CHECK(out[i] == i / 64 * 100 + i % 64);
  }
}

TEST_CASE("votes and partial masks") {
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    std::vector<uint32_t> out(64);
    REQUIRE(run(options, {.name = "vote", .grid = {1}, .block = {32}}, vote_kernel, out.data()) == "");
    for (unsigned lane = 0; lane < 32; ++lane) {
      CHECK(out[lane] == 0x49249249u);
      CHECK(out[32 + lane] == (lane < 8 ? (7 - lane) * 10 + 1000 : lane ^ 4));
    }
  }
}

}  // namespace
}  // namespace mfs::test
