#include "kernels/cuda/simt/emulation/shadow.h"

#include <algorithm>
#include <tuple>

namespace mfs::core::simt::emulation {
namespace {

bool ordered(const Access& earlier, const Actor& now) {
  if (earlier.agent == now.agent || earlier.grid <= now.knowledge->grids) return true;
  return now.knowledge->seen.at(earlier.agent) >= earlier.epoch;
}

bool fence_missing(const Access& earlier, const Actor& now) {
  if (!now.async_proxy || earlier.async_proxy || earlier.touch == Touch::kRead) return false;
  return earlier.grid > now.knowledge->grids && now.knowledge->fenced.at(earlier.agent) < earlier.epoch;
}

Conflict conflict_of(const Access& earlier, unsigned mask, Touch touch, const Actor& now) {
  const bool both_read = touch == Touch::kRead && earlier.touch == Touch::kRead;
  const bool both_atomic = touch == Touch::kAtomic && earlier.touch == Touch::kAtomic;
  if ((earlier.bytes & mask) == 0 || both_read) return Conflict::kNone;
  if (ordered(earlier, now)) return fence_missing(earlier, now) ? Conflict::kMissingProxyFence : Conflict::kNone;
  return both_atomic ? Conflict::kNone : Conflict::kRace;
}

Access access_of(unsigned mask, Touch touch, const Actor& actor) {
  return {actor.agent, actor.epoch, actor.grid, static_cast<uint8_t>(mask), touch, actor.async_proxy};
}

bool same_moment(const Access& earlier, Touch touch, const Actor& now) {
  return earlier.agent == now.agent && earlier.touch == touch && earlier.epoch == now.epoch;
}

// What races with `earlier` later also races with the new access to the bytes of `mask`, so `earlier` need not be kept.
bool replaces(unsigned mask, const Actor& now, const Access& earlier) {
  return (earlier.bytes & ~mask) == 0 && ordered(earlier, now);
}

}  // namespace

Finding Shadow::record(uintptr_t address, size_t bytes, Touch touch, const Actor& actor) {
  Finding finding;
  for (uintptr_t number = address / 4; number <= (address + bytes - 1) / 4; ++number) {
    unsigned mask = 0xf;
    if (number * 4 < address) mask &= 0xfu << (address - number * 4);
    if (number * 4 + 4 > address + bytes) mask &= 0xfu >> (number * 4 + 4 - address - bytes);
    Granule& granule = granules_[number];
    const auto look = [&](const std::vector<Access>& accesses) {
      for (const Access& earlier : accesses) {
        if (finding.conflict != Conflict::kNone) return;
        if (const Conflict c = conflict_of(earlier, mask, touch, actor); c != Conflict::kNone)
          finding = {c, earlier, number * 4};
      }
    };
    look(granule.changes);
    if (touch == Touch::kRead) {
      add_read(granule, mask, actor);
    } else {
      look(granule.reads);
      add_change(granule, mask, touch, actor);
    }
  }
  return finding;
}

void Shadow::add_read(Granule& granule, unsigned mask, const Actor& actor) {
  std::vector<Access>& reads = granule.reads;
  if (!reads.empty() && same_moment(reads.back(), Touch::kRead, actor)) {
    reads.back().bytes = static_cast<uint8_t>(reads.back().bytes | mask);
    return;
  }
  reads.push_back(access_of(mask, Touch::kRead, actor));
  if (reads.size() < granule.tidy_at) return;
  // Of every agent the latest read of the same bytes, and of those only what this one does not replace.
  const auto key = [](const Access& a) { return std::tuple(a.agent.group, a.agent.slot, a.bytes, a.async_proxy); };
  std::sort(reads.begin(), reads.end(),
            [&](const Access& a, const Access& b) { return key(a) != key(b) ? key(a) < key(b) : a.epoch > b.epoch; });
  reads.erase(std::unique(reads.begin(), reads.end(), [&](const Access& a, const Access& b) { return key(a) == key(b); }),
              reads.end());
  std::erase_if(reads, [&](const Access& earlier) { return replaces(mask, actor, earlier); });
  reads.push_back(access_of(mask, Touch::kRead, actor));
  granule.tidy_at = std::max<size_t>(16, 2 * reads.size());
}

void Shadow::add_change(Granule& granule, unsigned mask, Touch touch, const Actor& actor) {
  std::erase_if(granule.reads, [&](const Access& earlier) { return replaces(mask, actor, earlier); });
  bool recorded = false;
  std::erase_if(granule.changes, [&](Access& earlier) {
    if (same_moment(earlier, touch, actor)) {
      earlier.bytes = static_cast<uint8_t>(earlier.bytes | mask);
      recorded = true;
      return false;
    }
    return replaces(mask, actor, earlier) && !(earlier.touch == Touch::kWrite && touch == Touch::kAtomic);
  });
  if (!recorded) granule.changes.push_back(access_of(mask, touch, actor));
}

void Shadow::forget(uintptr_t address, size_t bytes) {
  std::erase_if(granules_, [=](const auto& g) { return g.first * 4 >= address && g.first * 4 < address + bytes; });
}

}  // namespace mfs::core::simt::emulation
