#include "kernels/cuda/simt/barriers.h"

#include "kernels/cuda/simt/emulation/rendezvous.h"
#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt {
namespace emulation {
namespace {

// One aligned instruction executed by thread `number` of a warp or warpgroup of `size` threads.
void pass(AlignedTrace& trace, unsigned number, unsigned size, const char* what, const char* whole, const Site& site) {
  const uint64_t step = trace.position[number]++;
  if (step - trace.first == trace.steps.size()) trace.steps.push_back({site, number});
  AlignedTrace::Step& expected = trace.steps[step - trace.first];
  if (expected.site.line() != site.line() || expected.site.column() != site.column() ||
      std::string_view(expected.site.file_name()) != site.file_name()) {
    fail(site, "divergent %s: thread %u of the %s is here, its thread %u is at line %u", what, number, whole, expected.thread,
         static_cast<unsigned>(expected.site.line()));
  }
  ++expected.passed;
  while (!trace.steps.empty() && trace.steps.front().passed == size) {
    trace.steps.pop_front();
    ++trace.first;
  }
}

bool barrier_possible(unsigned barrier, unsigned threads, const Thread& t) {
  return barrier < 16 && threads > 0 && threads % 32 == 0 && threads <= (t.block->threads.size() + 31) / 32 * 32;
}

void arrive(unsigned id, unsigned threads, const char* what, const Site& site) {
  Thread& t = current();
  if (!barrier_possible(id, threads, t)) fail(site, "%s: barrier %u cannot have %u threads", what, id, threads);
  check_aligned_call(what, site);
  NamedBarrier& barrier = t.block->barriers[id];
  if (barrier.arrived == 0) barrier.expected = threads;
  if (barrier.expected != threads)
    fail(site, "%s: barrier %u is in use with %u threads, not %u", what, id, barrier.expected, threads);
  release(barrier.gathering);
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    ++barrier.generation;
    barrier.released = std::move(barrier.gathering);
    barrier.gathering = {};
  }
}

void sync(unsigned id, unsigned threads, const char* what, const Site& site) {
  maybe_yield(site);
  NamedBarrier& barrier = current().block->barriers[id % 16];
  const uint64_t generation = barrier.generation;
  arrive(id, threads, what, site);
  wait_until(what, site, [&] { return barrier.generation != generation; });
  acquire(barrier.released);
}

}  // namespace

void check_aligned_call(const char* what, const Site& site) {
  Thread& t = current();
  const unsigned warp = t.number / 32;
  if (t.block->threads.size() < (warp + 1) * 32) fail(site, "%s in an incomplete warp", what);
  pass(t.block->warps[warp].trace, t.number % 32, 32, what, "warp", site);
}

void check_warpgroup_aligned_call(const char* what, const Site& site) {
  Thread& t = current();
  const unsigned warpgroup = t.number / 128;
  if (t.block->threads.size() < (warpgroup + 1) * 128) fail(site, "%s in an incomplete warpgroup", what);
  check_aligned_call(what, site);
  pass(t.block->warpgroups[warpgroup].trace, t.number % 128, 128, what, "warpgroup", site);
}

}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

void sync_block(Site site) {
  const emulation::Block& block = *emulation::current().block;
  if (block.exited != 0) emulation::fail(site, "sync_block after %u threads of the block have exited", block.exited);
  emulation::sync(0, static_cast<unsigned>(block.threads.size()), "sync_block", site);
}

void sync_named(unsigned barrier, unsigned threads, Site site) {
  if (barrier == 0) emulation::fail(site, "sync_named: barrier 0 belongs to sync_block");
  emulation::sync(barrier, threads, "sync_named", site);
}

void arrive_named(unsigned barrier, unsigned threads, Site site) {
  if (barrier == 0) emulation::fail(site, "arrive_named: barrier 0 belongs to sync_block");
  emulation::maybe_yield(site);
  emulation::arrive(barrier, threads, "arrive_named", site);
}

void sync_warp(uint32_t mask, Site site) {
  emulation::maybe_yield(site);
  emulation::meet("sync_warp", site, mask, false, true, nullptr, [](const auto&) {});
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
