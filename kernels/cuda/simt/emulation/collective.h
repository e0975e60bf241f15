// State of the things that threads meet at.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/cuda/simt/emulation/warpgroup.h"

namespace mfs::core::simt::emulation {

// Kinds of groups that a thread commits and waits for separately.
enum class GroupKind { kCopy, kBulk, kWgmma };
inline constexpr size_t kGroupKinds = 3;

struct NamedBarrier {
  unsigned arrived = 0, expected = 0;
  uint64_t generation = 0;
  Knowledge gathering, released;
};

// A warp-wide exchange under way; the last lane to arrive does the work for all.
struct Rendezvous {
  uint32_t mask = 0, arrived = 0;
  Site site;
  const char* what = "";
  std::array<void*, 32> slots{};
  std::array<bool*, 32> released{};
  Knowledge gathering;
};

struct Warp {
  AlignedTrace trace;
  uint32_t absent = 0;  // lanes that have exited or never existed
  std::vector<Rendezvous> meetings;
};

struct MBarrier {
  uint32_t count = 0, pending = 0;
  int64_t bytes = 0;
  uint64_t phase = 0;
  bool fenced = false, published = false;  // published: by another block, ever
  uint64_t signalled = 0, heard = 0;  // phases: the last one that another block has had a part in; that a thread has waited for
  Knowledge gathering, released;      // of the current and of the last complete phase
};

struct ClusterBarrier {
  unsigned arrived = 0;
  uint64_t generation = 0;
  Knowledge gathering, released;
};

}  // namespace mfs::core::simt::emulation
