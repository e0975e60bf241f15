#include "kernels/cuda/simt/mbarrier.h"

#include <algorithm>
#include <vector>

#include "kernels/cuda/simt/emulation/mbarriers.h"
#include "kernels/cuda/simt/fence.h"

namespace mfs::core::simt {
namespace emulation {
namespace {

constexpr uint64_t kMark = 0x6d62617272696572;  // in the barrier's memory: whoever overwrites it is found out

void complete_phase_if_due(MBarrier& m) {
  if (m.pending != 0 || m.bytes != 0) return;
  m.pending = m.count;
  ++m.phase;
  m.released = std::move(m.gathering);
  m.gathering = {};
}

}  // namespace

MBarrier& find_mbarrier(const uint64_t* barrier, const char* what, const Site& site) {
  Block* block = block_of(barrier);
  if (!block) fail(site, "%s: the mbarrier is not in shared memory", what);
  if (block->finished()) fail(site, "%s: the mbarrier's block has exited", what);
  const auto found = block->mbarriers.find(barrier);
  if (found == block->mbarriers.end()) fail(site, "%s: the mbarrier was not initialised", what);
  if (*barrier != kMark) fail(site, "%s: the mbarrier was overwritten", what);
  return found->second;
}

void arrive(MBarrier& m, const char* what, const Site& site) {
  if (m.pending == 0) fail(site, "%s: more arrivals than the mbarrier expects (%u)", what, m.count);
  release(m.gathering);
  --m.pending;
  complete_phase_if_due(m);
}

MBarrier& arrive_in(uint64_t* barrier, uint32_t rank, const char* what, const Site& site) {
  maybe_yield(site);
  auto* remote = static_cast<uint64_t*>(remote_address(barrier, rank, what, site));
  MBarrier& m = find_mbarrier(remote, what, site);
  if (!m.fenced) report(site, "missing fence_mbarrier_init before another block uses the mbarrier");
  touch(remote, 8, Touch::kAtomic, site);
  if (remote != barrier) m.signalled = m.phase + 1;
  arrive(m, what, site);
  return m;
}

const MBarrier& wait_for(uint64_t* barrier, uint32_t parity, const char* what, const Site& site) {
  maybe_yield(site);
  check_shared(barrier, 8, what, site);
  MBarrier& m = find_mbarrier(barrier, what, site);
  touch(barrier, 8, Touch::kAtomic, site);
  wait_until(what, site, [&] { return (m.phase & 1) != (parity & 1); });
  acquire(m.released);
  m.heard = m.phase;
  return m;
}

void deliver(MBarrier& m, const AsyncAgent& agent, size_t bytes) {
  release(agent, m.gathering, true);
  m.bytes -= static_cast<int64_t>(bytes);
  complete_phase_if_due(m);
}

}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

using namespace emulation;

void mbarrier_init(uint64_t* barrier, uint32_t arrivals, Site site) {
  check_shared(barrier, 8, "mbarrier_init", site);
  check_address(barrier, 8, "mbarrier", site);
  if (arrivals == 0 || arrivals >= 1u << 20) fail(site, "mbarrier_init: %u arrivals are not 1 to 2^20 - 1", arrivals);
  touch(barrier, 8, Touch::kWrite, site);
  Thread& t = current();
  t.block->mbarriers[barrier] = {.count = arrivals, .pending = arrivals, .gathering = {}, .released = {}};
  t.unfenced_barriers.push_back(barrier);
  *barrier = kMark;
}

void mbarrier_invalidate(uint64_t* barrier, Site site) {
  find_mbarrier(barrier, "mbarrier_invalidate", site);
  touch(barrier, 8, Touch::kWrite, site);
  current().block->mbarriers.erase(barrier);
  *barrier = ~uint64_t{0};
}

void fence_mbarrier_init() {
  Thread& t = current();
  for (const uint64_t* barrier : t.unfenced_barriers) {
    const auto found = t.block->mbarriers.find(barrier);
    if (found != t.block->mbarriers.end()) found->second.fenced = true;
  }
  t.unfenced_barriers.clear();
}

void fence_proxy_async() {
  fence_mbarrier_init();
  if (!state().options.detect_races) return;
  Thread& t = current();
  t.knowledge.fenced.join(t.knowledge.seen);
  t.knowledge.fenced.set(t.agent, t.epoch++);
}

void mbarrier_arrive(uint64_t* barrier, Site site) {
  maybe_yield(site);
  check_shared(barrier, 8, "mbarrier_arrive", site);
  MBarrier& m = find_mbarrier(barrier, "mbarrier_arrive", site);
  touch(barrier, 8, Touch::kAtomic, site);
  arrive(m, "mbarrier_arrive", site);
}

void mbarrier_arrive_expect(uint64_t* barrier, uint32_t bytes, Site site) {
  maybe_yield(site);
  check_shared(barrier, 8, "mbarrier_arrive_expect", site);
  MBarrier& m = find_mbarrier(barrier, "mbarrier_arrive_expect", site);
  touch(barrier, 8, Touch::kAtomic, site);
  if (bytes >= 1u << 20) fail(site, "mbarrier_arrive_expect: %u bytes are not less than 2^20", bytes);
  m.bytes += bytes;
  arrive(m, "mbarrier_arrive_expect", site);
}

void mbarrier_arrive_remote(uint64_t* barrier, uint32_t rank, Site site) {
  if (current().reached_out)
    report(site, "mbarrier_arrive_remote publishes nothing, and the thread may have stored into another block's memory");
  arrive_in(barrier, rank, "mbarrier_arrive_remote", site);
}

void mbarrier_publish_remote(uint64_t* barrier, uint32_t rank, Site site) {
  arrive_in(barrier, rank, "mbarrier_publish_remote", site).published = true;
  // For its warpgroup, too, which it has met before.
  const Thread& t = current();
  std::vector<Thread>& threads = t.block->threads;
  for (unsigned i = t.number / 128 * 128; i < std::min<size_t>(t.number / 128 * 128 + 128, threads.size()); ++i)
    threads[i].reached_out = false;
}

bool mbarrier_test(uint64_t* barrier, uint32_t parity, Site site) {
  maybe_yield(site);
  check_shared(barrier, 8, "mbarrier_test", site);
  MBarrier& m = find_mbarrier(barrier, "mbarrier_test", site);
  touch(barrier, 8, Touch::kAtomic, site);
  if ((m.phase & 1) == (parity & 1)) return false;
  acquire(m.released);
  m.heard = m.phase;
  return true;
}

void mbarrier_wait(uint64_t* barrier, uint32_t parity, Site site) {
  if (wait_for(barrier, parity, "mbarrier_wait", site).published)
    report(site, "mbarrier_wait on an mbarrier where another block has published something: use mbarrier_wait_published");
}

void mbarrier_wait_published(uint64_t* barrier, uint32_t parity, Site site) {
  wait_for(barrier, parity, "mbarrier_wait_published", site);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
