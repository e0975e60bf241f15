// Block-wide and named barriers (all `.aligned`: a whole warp at one call site), and the barrier of a warp.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

MFS_DEVICE void sync_block() { asm volatile("barrier.sync.aligned 0;" ::: "memory"); }

// Barriers 1..15 for groups of whole warps; `threads` counts those that wait and those that only arrive.
MFS_DEVICE void sync_named(unsigned barrier, unsigned threads) {
  asm volatile("barrier.sync.aligned %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
MFS_DEVICE void arrive_named(unsigned barrier, unsigned threads) {
  asm volatile("barrier.arrive.aligned %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
MFS_DEVICE void sync_warp(uint32_t mask = 0xffffffffu) { asm volatile("bar.warp.sync %0;" ::"r"(mask) : "memory"); }

#else

void sync_block(Site site = Site::current());
void sync_named(unsigned barrier, unsigned threads, Site site = Site::current());
void arrive_named(unsigned barrier, unsigned threads, Site site = Site::current());
void sync_warp(uint32_t mask = 0xffffffffu, Site site = Site::current());

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
