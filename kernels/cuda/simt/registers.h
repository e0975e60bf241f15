// setmaxnreg (sm_90a): warpgroups hand registers to each other. Executed by a whole warpgroup; counts are multiples of 8.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

template <int kRegisters>
MFS_DEVICE void release_registers() {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters) : "memory");
}
template <int kRegisters>
MFS_DEVICE void claim_registers() {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters) : "memory");
}

#else

void set_registers(int registers, bool claim, Site site);

template <int kRegisters>
void release_registers(Site site = Site::current()) {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
  set_registers(kRegisters, false, site);
}
template <int kRegisters>
void claim_registers(Site site = Site::current()) {
  static_assert(kRegisters >= 24 && kRegisters <= 256 && kRegisters % 8 == 0);
  set_registers(kRegisters, true, site);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
