#include "kernels/cuda/simt/cluster.h"

#include "kernels/cuda/simt/emulation/mbarriers.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/registers.h"

namespace mfs::core::simt {
namespace emulation {

void* remote_address(const void* p, uint32_t rank, const char* what, const Site& site) {
  const Block& own = *current().block;
  const auto& blocks = own.cluster->blocks;
  check_shared(p, 0, what, site);
  if (rank >= blocks.size()) fail(site, "%s: block %u of a cluster of %zu", what, rank, blocks.size());
  const Block& other = *blocks[rank];
  if (other.finished()) fail(site, "%s: block %u of the cluster has exited", what, rank);
  return other.shared + (static_cast<const unsigned char*>(p) - own.shared);
}

}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

using namespace emulation;

uint32_t cluster_rank() { return current().block->rank; }
uint32_t cluster_blocks() { return static_cast<uint32_t>(current().block->cluster->blocks.size()); }

void cluster_arrive(Site site) {
  maybe_yield(site);
  check_aligned_call("cluster_arrive", site);
  Thread& t = current();
  ClusterBarrier& barrier = t.block->cluster->barrier;
  if (t.cluster_phase_pending) fail(site, "cluster_arrive: the thread has not waited for its last arrival");
  t.cluster_phase_pending = true;
  t.reached_out = false;
  t.cluster_generation = barrier.generation;
  release(barrier.gathering);
  if (++barrier.arrived == t.block->cluster->first_async_slot) {
    barrier.arrived = 0;
    ++barrier.generation;
    barrier.released = std::move(barrier.gathering);
    barrier.gathering = {};
  }
}

void cluster_wait(Site site) {
  check_aligned_call("cluster_wait", site);
  Thread& t = current();
  const ClusterBarrier& barrier = t.block->cluster->barrier;
  if (!t.cluster_phase_pending) fail(site, "cluster_wait without cluster_arrive");
  wait_until("cluster_wait", site, [&] { return barrier.generation != t.cluster_generation; });
  t.cluster_phase_pending = false;
  acquire(barrier.released);
}

void sync_cluster(Site site) {
  cluster_arrive(site);
  cluster_wait(site);
  for (auto& [address, barrier] : current().block->mbarriers) barrier.heard = barrier.signalled;
}

void meet_cluster(Site site) {
  if (current().reached_out)
    report(site, "meet_cluster publishes nothing, and the thread may have stored into another block's memory");
  cluster_arrive(site);
  cluster_wait(site);
}

void* shared_of_block(void* p, uint32_t rank, Site site) {
  Thread& t = current();
  t.reached_out |= rank != t.block->rank;
  return remote_address(p, rank, "shared_of", site);
}

void grid_dependency_wait(Site site) {
  Thread& t = current();
  const uint32_t id = t.block->grid->id;
  wait_until("grid_dependency_wait", site, [=] { return state().grids.front()->id == id; });
  t.grid_dependency_waited = true;
  t.knowledge.grids = id - 1;
  if (!t.block->dependents_launched) ++t.block->grid->blocks_triggered;
  t.block->dependents_launched = true;
}

void set_registers(int registers, bool claim, Site site) {
  check_warpgroup_aligned_call("setmaxnreg", site);
  Thread& t = current();
  Block& block = *t.block;
  Warpgroup& group = block.warpgroups[t.number / 128];
  // The warpgroup's last thread moves the registers.
  const uint64_t moves = group.register_moves;
  if (++group.register_callers == 128) {
    group.register_callers = 0;
    if (claim ? registers < group.registers : registers > group.registers) {
      fail(site, "setmaxnreg.%s %d: the warpgroup has %ld registers per thread", claim ? "inc" : "dec", registers,
           group.registers);
    }
    const long needed = 128 * (registers - group.registers);
    wait_until("registers of other warpgroups", site, [&] { return block.free_registers >= needed; });
    block.free_registers -= needed;
    group.registers = registers;
    ++group.register_moves;
  }
  wait_until("registers of other warpgroups", site, [&] { return group.register_moves != moves; });
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
