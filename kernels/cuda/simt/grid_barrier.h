// A barrier of all blocks of a grid, which has to be launched so that all of them are resident (LaunchShape::cooperative).
#pragma once

#include "kernels/cuda/simt/atomics.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

// Called by one thread of each of the `blocks`, `first` by that of one of them. What the blocks wrote before it, up to a
// barrier of the block, can be read after it, behind another barrier of the block, by ordinary loads. `barrier`: in global
// memory, zero before its first use and again usable after each; not by two kernels that run at the same time.
MFS_DEVICE void meet_grid(uint32_t* barrier, uint32_t blocks, bool first) {
  // All arrivals together are worth the top bit.
  const uint32_t old = atomic_add_release(barrier, first ? 0x80000000u - (blocks - 1) : 1);
  wait_for_flip(barrier, old);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
