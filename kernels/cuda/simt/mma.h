// mma.sync: d += a b for a 16x8 tile and 32 bytes of K, that is m16n8k16 for Half and BFloat16 and m16n8k32 for E4m3 (sm_89 and
// up) and int8_t.
//
// With g = lane / 4 and q = lane % 4: register r of a holds row g + 8 (r % 2), bytes 4 q + 16 (r / 2) of its 32; register r of
// b column g, bytes 4 q + 16 r; d[i] is row g + 8 (i / 2), column 2 q + i % 2.
#pragma once

#include <type_traits>

#include "kernels/cuda/simt/types.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

template <class T>
using Accumulator = std::conditional_t<std::is_integral_v<T>, int32_t, float>;

#if MFS_SIMT_HARDWARE

#define MFS_MMA(name, constraint)                                                                          \
  asm volatile("mma.sync.aligned." name " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : constraint(d[0]), constraint(d[1]), constraint(d[2]), constraint(d[3])                    \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])                          \
               : "memory")
template <class T>
MFS_DEVICE void mma(Accumulator<T> (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, Half>) {
    MFS_MMA("m16n8k16.row.col.f32.f16.f16.f32", "+f");
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    MFS_MMA("m16n8k16.row.col.f32.bf16.bf16.f32", "+f");
  } else if constexpr (std::is_same_v<T, E4m3>) {
    MFS_MMA("m16n8k32.row.col.f32.e4m3.e4m3.f32", "+f");
  } else {
    static_assert(std::is_same_v<T, int8_t>);
    MFS_MMA("m16n8k32.row.col.s32.s8.s8.s32", "+r");
  }
}
#undef MFS_MMA

#else

// Exact products and sums in double, rounded once; the hardware truncates inside the sum. Equal whenever every sum is exact.
template <class T>
void mma(Accumulator<T> (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site = Site::current());

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
