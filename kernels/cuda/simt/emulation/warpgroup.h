// State of a warpgroup, and what `.aligned` instructions leave behind.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/cuda/simt/emulation/clock.h"
#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt::emulation {

struct Thread;

// An asynchronous operation, or a group of copies, as an agent of its own.
struct AsyncAgent {
  Agent agent{};
  uint32_t epoch = 0, grid = 0;
  Knowledge knowledge{};
  Thread* issuer = nullptr;
};

// Remembers the sequence of `.aligned` call sites of a warp or warpgroup until all its threads have passed them.
struct AlignedTrace {
  struct Step {
    Site site;
    unsigned thread;  // the first to get there
    unsigned passed = 0;
  };
  std::deque<Step> steps;
  uint64_t first = 0;
  std::vector<uint64_t> position;  // per thread
};

// A wgmma that some threads of the warpgroup have issued, or all.
struct WgmmaCall {
  unsigned type = 0, columns = 0;
  uint64_t a = 0, b = 0;
  bool accumulate = false;
  unsigned arrived = 0;
  std::array<void*, 128> accumulators{};
  std::array<AsyncAgent, 4> agents{};  // one per warp
};

struct Warpgroup {
  AlignedTrace trace;
  std::deque<WgmmaCall> calls;                                                  // not yet issued by all
  uint64_t submitted = 0;                                                       // issued by all, since the start
  std::array<uint64_t, 128> issued{}, waited{};                                 // per thread
  std::deque<std::pair<uint64_t, std::shared_ptr<const WgmmaCall>>> history{};  // not yet waited for by all
  long registers = 0;                                                           // per thread
  unsigned register_callers = 0;
  uint64_t register_moves = 0;
};

}  // namespace mfs::core::simt::emulation
