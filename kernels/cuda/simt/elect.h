// One thread of a warp that is chosen by an instruction (sm_90). What only that thread does, the compiler takes for one
// thread's work: TMA instructions need that. All threads of the warp call it together.
#pragma once

#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/shuffle.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

MFS_DEVICE bool elect_one() {
  uint32_t chosen;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(chosen)::"memory");
  return chosen != 0;
}

#else

inline bool elect_one(Site site = Site::current()) {
  vote_ballot(true, ~uint32_t{0}, site);
  return lane_index() == 0;
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
