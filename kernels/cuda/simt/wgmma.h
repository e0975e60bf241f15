// wgmma (sm_90a): a warpgroup multiplies 64 rows of a with kColumns rows of b (both K-major in shared memory, 32 bytes of K),
// asynchronously, into registers: d (+)= a b^T. T is the type of both, but with uint8_t b is int8_t.
//
//   wgmma_fence();                         // before the first one, and again after every wait
//   wgmma<Half, 128>(d, a, b, true); ...   // a, b: matrix descriptors
//   wgmma_commit();
//   wgmma_wait<0>();                       // only now d may be read and shared memory reused
//
// Thread t of the warpgroup holds in d[4 j + 2 i + e] row 16 (t / 32) + t % 32 / 4 + 8 i, column 8 j + 2 (t % 4) + e.
#pragma once

#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/mma.h"
#include "kernels/cuda/simt/tensor_map.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

template <class T, int kColumns>
inline constexpr bool kWgmmaHasSize = kColumns >= 8 && kColumns <= 256 && kColumns % 8 == 0 &&
                                      (!std::is_integral_v<T> || kColumns % 16 == 0 || kColumns == 8 || kColumns == 24);

// Rows of `swizzle` bytes (the box TMA writes with that swizzle), eight of them an atom; group_stride is the distance of atoms
// in bytes. Without swizzle: 8x16-byte tiles of 128 bytes, group_stride apart along rows and k_stride apart along K.
// To go on by some bytes of K inside a row, add bytes / 16 to the descriptor.
MFS_DEVICE uint64_t matrix_descriptor(const void* p, Swizzle swizzle, uint32_t group_stride, uint32_t k_stride = 16) {
  const uint64_t code = swizzle == Swizzle::k128 ? 1 : swizzle == Swizzle::k64 ? 2 : swizzle == Swizzle::k32 ? 3 : 0;
  return uint64_t{(shared_address(p) & 0x3ffff) >> 4} | uint64_t{k_stride >> 4} << 16 | uint64_t{group_stride >> 4} << 32 |
         code << 62;
}

#if !MFS_SIMT_HARDWARE

enum class WgmmaType { kHalf, kBFloat16, kE4m3, kS8, kU8S8 };
void wgmma(void* d, WgmmaType type, int columns, uint64_t a, uint64_t b, bool accumulate, Site site);
void wgmma_fence(Site site = Site::current());
void wgmma_commit(Site site = Site::current());
void wgmma_wait(unsigned left, Site site);

template <class T, int kColumns>
void wgmma(Accumulator<T> (&d)[kColumns / 2], uint64_t a, uint64_t b, bool accumulate, Site site = Site::current()) {
  static_assert(kWgmmaHasSize<T, kColumns>);
  constexpr WgmmaType kType = std::is_same_v<T, Half>       ? WgmmaType::kHalf
                              : std::is_same_v<T, BFloat16> ? WgmmaType::kBFloat16
                              : std::is_same_v<T, E4m3>     ? WgmmaType::kE4m3
                              : std::is_same_v<T, int8_t>   ? WgmmaType::kS8
                                                            : WgmmaType::kU8S8;
  wgmma(d, kType, kColumns, a, b, accumulate, site);
}
template <int kLeft>
void wgmma_wait(Site site = Site::current()) {
  wgmma_wait(kLeft, site);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt

#if MFS_SIMT_HARDWARE
#include "kernels/cuda/simt/wgmma_ptx.h"
#endif
