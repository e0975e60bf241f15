// TMA and wgmma permute the 16-byte chunks of shared memory by address bits: with rows of 128 bytes, bits 4..6 are xored with
// bits 7..9; with 64, bits 4..5 with 7..8; with 32, bit 4 with bit 7.
#pragma once

#include "kernels/cuda/simt/tensor_map.h"

namespace mfs::core::simt::emulation {

inline uint32_t swizzled(uint32_t address, Swizzle swizzle) {
  const uint32_t chunks = static_cast<uint32_t>(swizzle) / 16;
  return chunks < 2 ? address : address ^ ((address >> 7 & (chunks - 1)) << 4);
}

}  // namespace mfs::core::simt::emulation
