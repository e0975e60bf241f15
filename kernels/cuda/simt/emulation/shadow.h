// Who touched which bytes last: per 4-byte granule the accesses that a later one could still race with. Reads, of which there
// are many, are kept apart from what changes memory: a read need only be compared with changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/simt/emulation/clock.h"

namespace mfs::core::simt::emulation {

enum class Touch { kRead, kWrite, kAtomic };

// One access by one agent.
struct Actor {
  Agent agent;
  uint32_t epoch;
  uint32_t grid;
  bool async_proxy;  // TMA or wgmma
  const Knowledge* knowledge;
};

struct Access {
  Agent agent;
  uint32_t epoch;
  uint32_t grid;
  uint8_t bytes;  // mask within the granule
  Touch touch;
  bool async_proxy;
};

enum class Conflict { kNone, kRace, kMissingProxyFence };

struct Finding {
  Conflict conflict = Conflict::kNone;
  Access earlier{};
  uintptr_t address = 0;
};

class Shadow {
 public:
  // Records the access and returns the first conflict with an earlier one.
  Finding record(uintptr_t address, size_t bytes, Touch touch, const Actor& actor);
  void clear() { granules_.clear(); }
  void forget(uintptr_t address, size_t bytes);

 private:
  struct Granule {
    std::vector<Access> changes, reads;
    size_t tidy_at = 16;  // number of reads
  };
  static void add_read(Granule& granule, unsigned mask, const Actor& actor);
  static void add_change(Granule& granule, unsigned mask, Touch touch, const Actor& actor);

  std::unordered_map<uintptr_t, Granule> granules_;
};

}  // namespace mfs::core::simt::emulation
