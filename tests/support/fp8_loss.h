// How inexact sums of fp8 products are.
#pragma once

#include "kernels/cuda/conv_hopper_plan.h"
#include "tests/support/compare.h"

namespace mfs::core::test {

// What a sum of k products may lose, as a part of the sum of their magnitudes. The emulator's sums are exact but for one
// rounding per instruction of 32 products. On hardware each instruction sums 32 products and the sum before it, and may lose
// 2^-13 of the largest for each; the kernels add up parts of so many steps themselves.
inline double fp8_loss([[maybe_unused]] double k) {
#if MFS_EMULATED
  return (k / 32 + 2) * kEps;
#else
  return 33 * (kHopperFp8Steps * kHopperStepBytes / 32 + 1) * 0x1p-13;
#endif
}

}  // namespace mfs::core::test
