// Every way to misuse a wrapper ends in a sentence that names kernel, block, thread and line.
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/memory.h"
#include "kernels/cuda/simt/shuffle.h"
#include "kernels/cuda/simt/types.h"
#include "tests/simt/machines.h"

namespace mfs::core::MFS_SIMT_BACKEND {
namespace {

using namespace mfs::core::simt;

MFS_KERNEL void half_the_block_kernel() {
  if (thread_index().x < 32) sync_named(1, 64);
}

MFS_KERNEL void exit_before_barrier_kernel() {
  if (thread_index().x < 32) return;
  sync_block();
}

MFS_KERNEL void divergent_barrier_kernel() {
  if (thread_index().x % 2 == 0) {
    sync_block();
  } else {
    sync_block();
  }
}

MFS_KERNEL void lane_exits_kernel() {
  if (thread_index().x == 7) return;
  arrive_named(1, 64);
}

MFS_KERNEL void divergent_shuffle_kernel(int* out) {
  if (thread_index().x < 16) {
    out[thread_index().x] = shuffle_xor(1, 1);
  } else {
    out[thread_index().x] = shuffle_xor(2, 1);
  }
}

MFS_KERNEL void foreign_lane_kernel(int* out) {
  if (thread_index().x < 8) out[thread_index().x] = shuffle_xor(1, 8, 0xff);
}

MFS_KERNEL void misaligned_kernel(const float* in, float* out) {
  const F32x4 x = load(reinterpret_cast<const F32x4*>(in + 1));
  out[0] = x.x;
}

MFS_KERNEL void wrong_count_kernel() {
  if (thread_index().x < 32) {
    sync_named(3, 64);
  } else {
    sync_named(3, 96);
  }
}

}  // namespace
}  // namespace mfs::core::MFS_SIMT_BACKEND

namespace mfs::test {
namespace {

using namespace core::emulated;

const simt::LaunchShape kTwoWarps{.name = "misuse", .grid = {2}, .block = {64}, .shared_bytes = 1024};
const simt::LaunchShape kOneWarp{.name = "misuse", .grid = {1}, .block = {32}, .shared_bytes = 1024};

TEST_CASE("misuse is reported, whatever the schedule") {
  alignas(16) float in[8] = {};
  alignas(16) float out[8] = {};
  int lanes[32] = {};
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    std::string message = run(options, kTwoWarps, half_the_block_kernel);
    CHECK(contains(message, "deadlock"));
    CHECK(contains(message, "misuse: 64 threads wait for sync_named at misuse_test.cpp:"));
    CHECK(contains(run(options, kTwoWarps, exit_before_barrier_kernel), "sync_block"));
    message = run(options, kTwoWarps, divergent_barrier_kernel);
    CHECK(contains(message, "misuse, block "));
    CHECK(contains(message, "divergent sync_block"));
    CHECK(contains(run(options, kTwoWarps, lane_exits_kernel), "exited without this .aligned instruction"));
    CHECK(contains(run(options, kOneWarp, divergent_shuffle_kernel, lanes), "divergent shuffle"));
    CHECK(contains(run(options, kOneWarp, foreign_lane_kernel, lanes), "outside its mask"));
    CHECK(contains(run(options, kOneWarp, misaligned_kernel, in, out), "misaligned load"));
    message = run(options, kTwoWarps, wrong_count_kernel);
    CHECK((contains(message, "is in use with") || contains(message, "cannot have")));
  }
}

TEST_CASE("a machine is usable after a failure") {
  Machine machine;
  CHECK(run(machine, kTwoWarps, half_the_block_kernel) != "");
  CHECK(machine.reports().size() == 1);
}

}  // namespace
}  // namespace mfs::test
