#include <algorithm>
#include <bit>

#include "kernels/cuda/simt/emulation/rendezvous.h"
#include "kernels/cuda/simt/shuffle.h"

namespace mfs::core::simt {
namespace emulation {

bool join_meeting(const char* what, const Site& site, uint32_t mask, bool same_site, bool orders_memory, void* slot,
                  Rendezvous*& meeting) {
  Thread& t = current();
  Warp& warp = t.block->warps[t.number / 32];
  const unsigned lane = t.number % 32;
  if (!(mask >> lane & 1)) fail(site, "%s: lane %u is not in its own mask 0x%08x", what, lane, mask);
  if (const uint32_t missing = mask & warp.absent; missing != 0) {
    fail(site, "%s: lane %d of mask 0x%08x has exited or never existed", what, std::countr_zero(missing), mask);
  }
  auto place =
      std::find_if(warp.meetings.begin(), warp.meetings.end(), [&](const Rendezvous& m) { return (m.mask & mask) != 0; });
  if (place == warp.meetings.end()) {
    warp.meetings.emplace_back();
    place = warp.meetings.end() - 1;
    place->mask = mask;
    place->site = site;
    place->what = what;
  }
  const bool same_call = place->site.line() == site.line() && place->site.column() == site.column();
  const bool same_kind = place->what == what || std::string_view(place->what) == what;
  if (place->mask != mask || !same_kind || (same_site && !same_call)) {
    fail(site, "divergent %s with mask 0x%08x: other lanes are in %s with mask 0x%08x at line %u", what, mask, place->what,
         place->mask, static_cast<unsigned>(place->site.line()));
  }
  place->arrived |= 1u << lane;
  place->slots[lane] = slot;
  if (orders_memory) release(place->gathering);
  if (place->arrived == place->mask) {
    if (orders_memory) {
      for (unsigned i = 0; i < 32; ++i) {
        if (mask >> i & 1) t.block->threads[t.number / 32 * 32 + i].knowledge.join(place->gathering);
      }
    }
    meeting = &*place;
    return true;
  }
  bool released = false;
  place->released[lane] = &released;
  wait_until(what, site, [&] { return released; });
  return false;
}

void dismiss(const Rendezvous& meeting) {
  std::vector<Rendezvous>& meetings = current().block->warps[current().number / 32].meetings;
  for (bool* released : meeting.released) {
    if (released) *released = true;
  }
  meetings.erase(meetings.begin() + (&meeting - meetings.data()));
}

}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {
namespace {

struct Exchange {
  uint32_t value, result;
  unsigned lane;
};

unsigned source_lane(ShuffleMode mode, unsigned own, unsigned argument) {
  switch (mode) {
    case ShuffleMode::kUp:
      return own >= argument ? own - argument : own;
    case ShuffleMode::kDown:
      return own + argument < 32 ? own + argument : own;
    case ShuffleMode::kXor:
      return own ^ (argument & 31);
    case ShuffleMode::kIndex:
      return argument & 31;
  }
  return own;
}

}  // namespace

uint32_t shuffle_bits(ShuffleMode mode, uint32_t value, unsigned lane, uint32_t mask, Site site) {
  Exchange exchange{value, 0, lane};
  bool outside = false;
  emulation::meet("shuffle", site, mask, true, false, &exchange, [&](const emulation::Rendezvous& meeting) {
    for (unsigned i = 0; i < 32; ++i) {
      if (!(mask >> i & 1)) continue;
      Exchange& e = *static_cast<Exchange*>(meeting.slots[i]);
      const unsigned source = source_lane(mode, i, e.lane);
      outside |= !(mask >> source & 1);
      e.result = mask >> source & 1 ? static_cast<const Exchange*>(meeting.slots[source])->value : 0xffffffffu;
    }
  });
  if (outside) emulation::fail(site, "shuffle reads from a lane outside its mask 0x%08x", mask);
  return exchange.result;
}

uint32_t vote_ballot(bool predicate, uint32_t mask, Site site) {
  Exchange exchange{predicate, 0, 0};
  emulation::meet("vote", site, mask, true, false, &exchange, [&](const emulation::Rendezvous& meeting) {
    uint32_t ballot = 0;
    for (unsigned i = 0; i < 32; ++i) {
      if (mask >> i & 1) ballot |= static_cast<const Exchange*>(meeting.slots[i])->value << i;
    }
    for (unsigned i = 0; i < 32; ++i) {
      if (mask >> i & 1) static_cast<Exchange*>(meeting.slots[i])->result = ballot;
    }
  });
  return exchange.result;
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
