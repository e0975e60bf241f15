// ldmatrix and stmatrix: 8x8 tiles of 16-bit elements between shared memory and mma fragments.
//
// Lane i gives the address of row i % 8 (16 bytes, aligned) of tile i / 8. In register m, lane l holds elements 2 (l % 4) and
// 2 (l % 4) + 1 of row l / 4 of tile m, or of column l / 4 with kTransposed.
#pragma once

#include "kernels/cuda/simt/index.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

template <int kTiles, bool kTransposed = false>
MFS_DEVICE void load_matrix(uint32_t (&r)[kTiles], const void* row) {
  static_assert(kTiles == 1 || kTiles == 2 || kTiles == 4);
  const uint32_t address = shared_address(row);
#define MFS_LDMATRIX(shape, registers, ...) \
  asm volatile("ldmatrix.sync.aligned.m8n8." shape ".shared.b16 {" registers "}, [%" __VA_ARGS__ : "r"(address) : "memory")
  if constexpr (kTiles == 1 && !kTransposed) {
    MFS_LDMATRIX("x1", "%0", "1];" : "=r"(r[0]));
  } else if constexpr (kTiles == 1) {
    MFS_LDMATRIX("x1.trans", "%0", "1];" : "=r"(r[0]));
  } else if constexpr (kTiles == 2 && !kTransposed) {
    MFS_LDMATRIX("x2", "%0, %1", "2];" : "=r"(r[0]), "=r"(r[1]));
  } else if constexpr (kTiles == 2) {
    MFS_LDMATRIX("x2.trans", "%0, %1", "2];" : "=r"(r[0]), "=r"(r[1]));
  } else if constexpr (!kTransposed) {
    MFS_LDMATRIX("x4", "%0, %1, %2, %3", "4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]));
  } else {
    MFS_LDMATRIX("x4.trans", "%0, %1, %2, %3", "4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]));
  }
#undef MFS_LDMATRIX
}

// sm_90 and up.
template <int kTiles, bool kTransposed = false>
MFS_DEVICE void store_matrix(void* row, const uint32_t (&r)[kTiles]) {
  static_assert(kTiles == 1 || kTiles == 2 || kTiles == 4);
  const uint32_t address = shared_address(row);
// clang-format off
#define MFS_STMATRIX(shape, registers, ...) \
  asm volatile("stmatrix.sync.aligned.m8n8." shape ".shared.b16 [%0], {" registers "};" ::"r"(address), __VA_ARGS__ : "memory")
  // clang-format on
  if constexpr (kTiles == 1 && !kTransposed) {
    MFS_STMATRIX("x1", "%1", "r"(r[0]));
  } else if constexpr (kTiles == 1) {
    MFS_STMATRIX("x1.trans", "%1", "r"(r[0]));
  } else if constexpr (kTiles == 2 && !kTransposed) {
    MFS_STMATRIX("x2", "%1, %2", "r"(r[0]), "r"(r[1]));
  } else if constexpr (kTiles == 2) {
    MFS_STMATRIX("x2.trans", "%1, %2", "r"(r[0]), "r"(r[1]));
  } else if constexpr (!kTransposed) {
    MFS_STMATRIX("x4", "%1, %2, %3, %4", "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]));
  } else {
    MFS_STMATRIX("x4.trans", "%1, %2, %3, %4", "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]));
  }
#undef MFS_STMATRIX
}

#else

void load_matrix(uint32_t* r, int tiles, bool transposed, const void* row, Site site);
void store_matrix(void* row, const uint32_t* r, int tiles, bool transposed, Site site);

template <int kTiles, bool kTransposed = false>
void load_matrix(uint32_t (&r)[kTiles], const void* row, Site site = Site::current()) {
  load_matrix(r, kTiles, kTransposed, row, site);
}
template <int kTiles, bool kTransposed = false>
void store_matrix(void* row, const uint32_t (&r)[kTiles], Site site = Site::current()) {
  store_matrix(row, r, kTiles, kTransposed, site);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
