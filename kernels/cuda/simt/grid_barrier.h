// A barrier of all blocks of a grid, which has to be launched so that all of them are resident (LaunchShape::cooperative).
#pragma once

#include "kernels/cuda/simt/atomics.h"
#include "kernels/cuda/simt/memory.h"

namespace mfs::core::simt {

// In global memory, zero before its first use and again usable after every launch that has used it; not by two kernels that
// run at the same time.
struct GridBarrier {
  uint32_t arrived, round;
};

inline namespace MFS_SIMT_BACKEND {

// Called by one thread of each of the `blocks`. What the blocks wrote before it, up to a barrier of the block, can be read
// after it, behind another barrier of the block, by ordinary loads.
MFS_DEVICE void meet_grid(GridBarrier* barrier, uint32_t blocks) {
  const uint32_t round = load_acquire(&barrier->round);
  if (atomic_add_release(&barrier->arrived, 1) < blocks - 1) {
    wait_while(&barrier->round, round);
  } else {
    store(&barrier->arrived, 0u);
    store_release(&barrier->round, round + 1);
  }
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
