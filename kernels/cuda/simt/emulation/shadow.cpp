#include "kernels/cuda/simt/emulation/shadow.h"

#include <algorithm>

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

}  // namespace

Finding Shadow::record(uintptr_t address, size_t bytes, Touch touch, const Actor& actor) {
  Finding finding;
  for (uintptr_t granule = address / 4; granule <= (address + bytes - 1) / 4; ++granule) {
    unsigned mask = 0xf;
    if (granule * 4 < address) mask &= 0xfu << (address - granule * 4);
    if (granule * 4 + 4 > address + bytes) mask &= 0xfu >> (granule * 4 + 4 - address - bytes);
    std::vector<Access>& accesses = granules_[granule];
    bool recorded = false;
    std::erase_if(accesses, [&](Access& earlier) {
      const bool overlaps = (earlier.bytes & mask) != 0;
      const bool before = ordered(earlier, actor);
      if (overlaps && finding.conflict == Conflict::kNone) {
        const bool both_read = touch == Touch::kRead && earlier.touch == Touch::kRead;
        const bool both_atomic = touch == Touch::kAtomic && earlier.touch == Touch::kAtomic;
        if (!both_read && !both_atomic && !before) finding = {Conflict::kRace, earlier, granule * 4};
        if (!both_read && before && fence_missing(earlier, actor))
          finding = {Conflict::kMissingProxyFence, earlier, granule * 4};
      }
      if (earlier.agent == actor.agent && earlier.touch == touch && earlier.epoch == actor.epoch) {
        earlier.bytes = static_cast<uint8_t>(earlier.bytes | mask);
        recorded = true;
        return false;
      }
      // What races with `earlier` later also races with this access, so `earlier` need not be kept: except that a read does
      // not stand in for a write.
      const bool stronger = touch != Touch::kRead || earlier.touch == Touch::kRead;
      return before && stronger && (earlier.bytes & ~mask) == 0 && !(earlier.touch == Touch::kWrite && touch == Touch::kAtomic);
    });
    if (!recorded) {
      accesses.push_back({actor.agent, actor.epoch, actor.grid, static_cast<uint8_t>(mask), touch, actor.async_proxy});
    }
  }
  return finding;
}

void Shadow::forget(uintptr_t address, size_t bytes) {
  std::erase_if(granules_, [=](const auto& g) { return g.first * 4 >= address && g.first * 4 < address + bytes; });
}

}  // namespace mfs::core::simt::emulation
