// 16-bit and 8-bit floating-point types: CUDA's own under nvcc, plain structs elsewhere (no CUDA header is needed there).
// All conversions round to nearest even; e4m3 saturates to +-448.
#pragma once

#include "kernels/cuda/simt/platform.h"

#if MFS_SIMT_HARDWARE
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#endif

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

using Half = __half;
using BFloat16 = __nv_bfloat16;
using E4m3 = __nv_fp8_e4m3;
using F32x4 = float4;
using U32x2 = uint2;
using U32x4 = uint4;

MFS_HOST_DEVICE float to_float(Half x) { return __half2float(x); }
MFS_HOST_DEVICE float to_float(BFloat16 x) { return __bfloat162float(x); }
MFS_HOST_DEVICE float to_float(E4m3 x) { return static_cast<float>(x); }
MFS_HOST_DEVICE Half to_half(float x) { return __float2half_rn(x); }
MFS_HOST_DEVICE BFloat16 to_bfloat16(float x) { return __float2bfloat16_rn(x); }
MFS_HOST_DEVICE E4m3 to_e4m3(float x) { return E4m3(x); }
// Two of them in the low 16 bits, `low` in the lowest: one instruction from sm_89 on.
MFS_DEVICE uint32_t to_e4m3_pair(float low, float high) {
  return __nv_cvt_float2_to_fp8x2({low, high}, __NV_SATFINITE, __NV_E4M3);
}

#else

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
struct E4m3 {
  uint8_t bits;
};
struct alignas(16) F32x4 {
  float x, y, z, w;
};
struct alignas(8) U32x2 {
  uint32_t x, y;
};
struct alignas(16) U32x4 {
  uint32_t x, y, z, w;
};

float to_float(Half x);
float to_float(BFloat16 x);
float to_float(E4m3 x);
Half to_half(float x);
BFloat16 to_bfloat16(float x);
E4m3 to_e4m3(float x);
inline uint32_t to_e4m3_pair(float low, float high) { return to_e4m3(low).bits | uint32_t{to_e4m3(high).bits} << 8; }

#endif

// Fragment registers: pairs or quadruples of small values in 32 bits, the first in the low bits.
static_assert(sizeof(Half) == 2 && sizeof(BFloat16) == 2 && sizeof(E4m3) == 1 && sizeof(U32x4) == 16);

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
