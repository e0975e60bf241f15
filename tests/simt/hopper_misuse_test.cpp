// Misuse of mbarriers, TMA, wgmma, clusters and programmatic launches.
#include "kernels/cuda/simt/async_copy.h"
#include "kernels/cuda/simt/atomics.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/cluster.h"
#include "kernels/cuda/simt/emulation/constants.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/mbarrier.h"
#include "kernels/cuda/simt/memory.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/registers.h"
#include "kernels/cuda/simt/tma.h"
#include "kernels/cuda/simt/tma_store.h"
#include "kernels/cuda/simt/wgmma.h"
#include "tests/simt/machines.h"

namespace mfs::core::MFS_SIMT_BACKEND {
namespace {

using namespace mfs::core::simt;

enum class Misuse {
  kUninitialised,
  kTooManyArrivals,
  kOverwritten,
  kNobodyArrives,
  kWrongBytes,
  kBadAddress,
  kBadRank,
  kInFlight
};

MFS_KERNEL void mbarrier_misuse(const TensorMap map, Misuse misuse) {
  unsigned char* tile = shared_memory();
  uint64_t* barrier = reinterpret_cast<uint64_t*>(tile + 4096);
  if (thread_index().x != 0) return;
  if (misuse == Misuse::kUninitialised) mbarrier_arrive(barrier);
  mbarrier_init(barrier, 1);
  fence_mbarrier_init();
  if (misuse == Misuse::kTooManyArrivals) {
    mbarrier_arrive_expect(barrier, 16);
    mbarrier_arrive(barrier);
  }
  if (misuse == Misuse::kOverwritten) {
    *barrier = 0;
    mbarrier_arrive(barrier);
  }
  if (misuse == Misuse::kNobodyArrives) mbarrier_wait(barrier, 0);
  mbarrier_arrive_expect(barrier, misuse == Misuse::kWrongBytes ? 1024 : 512);
  if (misuse == Misuse::kBadRank) tma_load(tile, map, barrier, {0, 0, 0});
  tma_load(tile + (misuse == Misuse::kBadAddress ? 64 : 0), map, barrier, {0, 0});
  if (misuse != Misuse::kInFlight) mbarrier_wait(barrier, 0);
}

MFS_KERNEL void early_exit_of_a_neighbour() {
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared_memory());
  if (thread_index().x == 0) {
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
  }
  sync_cluster();
  if (cluster_rank() == 0) return;
  if (thread_index().x == 0) {
    while (!mbarrier_test(barrier, 1)) {
    }
    for (int i = 0; i < 50; ++i) mbarrier_test(barrier, 0);
    mbarrier_arrive_remote(barrier, 0);
  }
}

enum class HandOver { kRight, kPlainArrival, kPlainWait, kPlainEnd, kNoWait };

// A block stores into its neighbour's memory and tells it.
MFS_KERNEL void hand_over(HandOver how) {
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared_memory());
  uint32_t* given = reinterpret_cast<uint32_t*>(shared_memory() + 16);
  const uint32_t other = cluster_rank() ^ 1;
  if (thread_index().x == 0) {
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
  }
  meet_cluster();
  if (thread_index().x == 0) {
    *shared_of(given, other) = 1;
    if (how == HandOver::kPlainArrival) {
      mbarrier_arrive_remote(barrier, other);
    } else if (how != HandOver::kPlainEnd) {
      mbarrier_publish_remote(barrier, other);
    }
    if (how == HandOver::kPlainWait) mbarrier_wait(barrier, 0);
    if (how == HandOver::kRight) mbarrier_wait_published(barrier, 0);
  }
  sync_warp();
  meet_cluster();
}

MFS_KERNEL void wrong_rank() { shared_of(shared_memory(), 2); }

MFS_KERNEL void no_grid_dependency_wait() {}

MFS_KERNEL void half_a_grid_dependency_wait() {
  if (thread_index().x % 2 == 0) grid_dependency_wait();
}

enum class Early { kNothing, kLoad, kLoadConstant, kStore, kAtomic, kCopyAsync, kCopyBytes, kTmaLoad, kTmaStore };

// Does one thing before it waits.
MFS_KERNEL void early_access(const TensorMap map, uint32_t* memory, Early what) {
  unsigned char* tile = shared_memory();
  uint64_t* barrier = reinterpret_cast<uint64_t*>(tile + 512);
  if (thread_index().x == 0) {
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
    if (what == Early::kLoad) store(reinterpret_cast<uint32_t*>(tile), load(memory));
    if (what == Early::kLoadConstant) store(reinterpret_cast<uint32_t*>(tile), load_constant(memory));
    if (what == Early::kStore) store(memory, 1u);
    if (what == Early::kAtomic) atomic_add(memory, 1u);
    if (what == Early::kCopyAsync) {
      copy_async<16>(tile, memory);
      copy_async_commit();
      copy_async_wait<0>();
    }
    if (what == Early::kCopyBytes) copy_bytes(tile, memory, 3);
    if (what == Early::kTmaLoad) {
      mbarrier_arrive_expect(barrier, 512);
      tma_load(tile, map, barrier, {0, 0});
      mbarrier_wait(barrier, 0);
    }
    if (what == Early::kTmaStore) {
      tma_store(map, tile, {0, 0});
      tma_store_commit();
      tma_store_wait<0>();
    }
  }
  grid_dependency_wait();
  atomic_add(memory, 1u);
}

MFS_KERNEL void store_before_the_tensor(const TensorMap map) {
  if (thread_index().x != 0) return;
  tma_store(map, shared_memory(), {0, -1});
  tma_store_commit();
  tma_store_wait<0>();
}

MFS_KERNEL void too_many_registers() { claim_registers<256>(); }

MFS_KERNEL void misplaced_descriptor(unsigned offset) {
  float d[4];
  const uint64_t a = matrix_descriptor(shared_memory() + offset, Swizzle::k128, 1024);
  wgmma_fence();
  wgmma<Half, 8>(d, a, a, false);
  wgmma_commit();
  wgmma_wait<0>();
}

MFS_KERNEL void conflicting_rows(unsigned stride) {
  uint32_t r[4];
  load_matrix<4>(r, shared_memory() + thread_index().x * stride);
}

}  // namespace
}  // namespace mfs::core::MFS_SIMT_BACKEND

namespace mfs::test {
namespace {

using namespace core::emulated;

simt::LaunchShape shape(unsigned blocks, unsigned threads, size_t shared) {
  simt::LaunchShape s{.name = "misuse"};
  s.grid.x = blocks;
  s.block.x = threads;
  s.shared_bytes = shared;
  return s;
}

simt::TensorShape plane(const void* base) {
  simt::TensorShape t{.type = simt::ElementType::kF32, .rank = 2, .base = base};
  t.extent[0] = t.extent[1] = 16;
  t.stride[1] = 64;
  t.box[0] = 16;
  t.box[1] = 8;
  return t;
}

TEST_CASE("mbarrier and TMA misuse") {
  alignas(128) float plane_data[256] = {};
  TensorMap map;
  REQUIRE(make_tensor_map(map, plane(plane_data)));
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    CHECK(contains(run(options, shape(1, 32, 1024), store_before_the_tensor, map), "coordinate 1 is -1, before the tensor"));
    const auto message = [&](Misuse misuse) { return run(options, shape(1, 32, 8192), mbarrier_misuse, map, misuse); };
    CHECK(contains(message(Misuse::kUninitialised), "was not initialised"));
    CHECK(contains(message(Misuse::kTooManyArrivals), "more arrivals"));
    CHECK(contains(message(Misuse::kOverwritten), "was overwritten"));
    CHECK(contains(message(Misuse::kNobodyArrives), "deadlock"));
    CHECK(contains(message(Misuse::kWrongBytes), "deadlock"));
    CHECK(contains(message(Misuse::kBadAddress), "misaligned tma_load"));
    CHECK(contains(message(Misuse::kBadRank), "3 coordinates for a tensor of rank 2"));
    if (options.completion == Completion::kLate) CHECK(contains(message(Misuse::kInFlight), "in flight"));
  }
}

TEST_CASE("cluster, wgmma, register and launch misuse") {
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    simt::LaunchShape pair = shape(2, 32, 64);
    pair.cluster.x = 2;
    CHECK(contains(run(options, pair, wrong_rank), "block 2 of a cluster of 2"));
    CHECK(run(options, pair, hand_over, HandOver::kRight) == "");
    CHECK(contains(run(options, pair, hand_over, HandOver::kPlainArrival), "mbarrier_arrive_remote publishes nothing"));
    CHECK(contains(run(options, pair, hand_over, HandOver::kPlainWait), "use mbarrier_wait_published"));
    CHECK(contains(run(options, pair, hand_over, HandOver::kPlainEnd), "meet_cluster publishes nothing"));
    CHECK(contains(run(options, pair, hand_over, HandOver::kNoWait), "without having waited for other blocks' signals"));
    if (options.order == Order::kRandom) CHECK(contains(run(options, pair, early_exit_of_a_neighbour), "exited"));
    simt::LaunchShape chained = shape(1, 32, 0);
    chained.programmatic = true;
    CHECK(contains(run(options, chained, no_grid_dependency_wait), "not every thread executed griddepcontrol.wait"));
    CHECK(contains(run(options, chained, half_a_grid_dependency_wait), "not every thread executed griddepcontrol.wait"));
    CHECK(contains(run(options, shape(1, 384, 0), too_many_registers), "registers of other warpgroups"));
    CHECK(contains(run(options, shape(1, 128, 4096), misplaced_descriptor, 0u), "outside shared memory"));
    CHECK(contains(run(options, shape(1, 128, 16384), misplaced_descriptor, 256u), "not in the first row"));
    CHECK(contains(run(options, shape(1, 128, 16384), misplaced_descriptor, 112u), "across the end of a row"));
    CHECK(contains(run(options, shape(1, 32, 4096), conflicting_rows, 8u), "misaligned load_matrix"));
    CHECK(contains(run(options, shape(1, 32, 496), conflicting_rows, 16u), "not inside"));
  }
}

TEST_CASE("before its wait a kernel launched programmatically may read weights, and touches nothing else") {
  using simt::emulation::declare_constant, simt::emulation::forget_constants, simt::emulation::is_constant;
  alignas(128) uint32_t memory[256] = {};
  TensorMap map;
  REQUIRE(make_tensor_map(map, plane(memory)));
  simt::LaunchShape chained = shape(1, 32, 1024), plain = chained;
  chained.programmatic = true;
  for (const Options& options : schedules()) {
    CAPTURE(text(options));
    for (const Early what : {Early::kLoad, Early::kLoadConstant, Early::kStore, Early::kAtomic, Early::kCopyAsync,
                             Early::kCopyBytes, Early::kTmaLoad, Early::kTmaStore}) {
      CAPTURE(static_cast<int>(what));
      const bool reads = what != Early::kStore && what != Early::kAtomic && what != Early::kTmaStore;
      forget_constants(memory, sizeof memory);
      CHECK(contains(run(options, chained, early_access, map, memory, what), "touched before griddepcontrol.wait"));
      CHECK(run(options, plain, early_access, map, memory, what) == "");
      declare_constant(memory, sizeof memory);
      CHECK((run(options, chained, early_access, map, memory, what) == "") == reads);
    }
  }
  CHECK(run(Options{}, chained, early_access, map, memory, Early::kNothing) == "");
  CHECK(is_constant(memory + 255, 4));
  CHECK_FALSE(is_constant(memory + 255, 5));
  forget_constants(memory + 10, 4);  // anything of it
  CHECK_FALSE(is_constant(memory, 4));
}

TEST_CASE("bank conflicts of ldmatrix are counted") {
  const auto conflicts = [](unsigned stride) {
    Machine machine;
    REQUIRE(run(machine, shape(1, 32, 8192), conflicting_rows, stride) == "");
    return machine.bank_conflicts();
  };
  CHECK(conflicts(16) == 0);
  CHECK(conflicts(128) == 28);
  CHECK(conflicts(144) == 0);
  CHECK(conflicts(32) == 4);
}

TEST_CASE("tensor maps beyond the hardware's limits are refused in words") {
  alignas(128) float data[256] = {};
  const auto refused = [&](auto change) {
    simt::TensorShape t = plane(data);
    REQUIRE(check(t));
    change(t);
    return check(t).message();
  };
  using simt::TensorShape;
  CHECK(contains(refused([](TensorShape& t) { t.rank = 1; }), "rank"));
  CHECK(contains(refused([](TensorShape& t) { t.rank = 6; }), "rank"));
  CHECK(contains(refused([&](TensorShape& t) { t.base = data + 1; }), "multiple of 16"));
  CHECK(contains(refused([](TensorShape& t) { t.extent[1] = 0; }), "extent"));
  CHECK(contains(refused([](TensorShape& t) { t.box[1] = 257; }), "box must be 1 to 256"));
  CHECK(contains(refused([](TensorShape& t) { t.box[0] = 3; }), "multiple of 16 bytes"));
  CHECK(contains(refused([](TensorShape& t) { t.stride[1] = 72; }), "stride"));
  CHECK(contains(refused([](TensorShape& t) { t.stride[1] = uint64_t{1} << 40; }), "stride"));
  CHECK(contains(refused([](TensorShape& t) { t.step[1] = 9; }), "step"));
  CHECK(contains(refused([](TensorShape& t) { t.step[0] = 2; }), "step"));
  CHECK(contains(refused([](TensorShape& t) { t.swizzle = simt::Swizzle::k32; }), "wider than"));
  CHECK(contains(refused([](TensorShape& t) { t.box[0] = t.box[1] = 256; }), "larger than shared memory"));
}

}  // namespace
}  // namespace mfs::test
