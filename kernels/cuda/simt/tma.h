// TMA (sm_90): boxes of a tensor of rank 2 to 5 between global and shared memory. Coordinates start with the contiguous
// dimension and may lie outside: loads fill with zeros, stores leave out. Shared addresses are multiples of 128 bytes.
#pragma once

#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/tensor_map.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

#define MFS_TMA_LOAD_TAIL ".shared::cluster.global.tile.mbarrier::complete_tx::bytes"
#define MFS_TMA_LOAD(rank, multicast, coordinates, tail, ...)                                                       \
  asm volatile("cp.async.bulk.tensor." rank MFS_TMA_LOAD_TAIL multicast " [%0], [%1, {" coordinates "}], [%2]" tail \
               ";" ::"r"(to),                                                                                       \
               "l"(&map), "r"(bar), __VA_ARGS__                                                                     \
               : "memory")

// The mbarrier's phase receives box_bytes().
template <int kRank>
MFS_DEVICE void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank]) {
  const uint32_t to = shared_address(to_shared), bar = shared_address(barrier);
  if constexpr (kRank == 2) {
    MFS_TMA_LOAD("2d", "", "%3, %4", "", "r"(c[0]), "r"(c[1]));
  } else if constexpr (kRank == 3) {
    MFS_TMA_LOAD("3d", "", "%3, %4, %5", "", "r"(c[0]), "r"(c[1]), "r"(c[2]));
  } else if constexpr (kRank == 4) {
    MFS_TMA_LOAD("4d", "", "%3, %4, %5, %6", "", "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
  } else {
    static_assert(kRank == 5);
    MFS_TMA_LOAD("5d", "", "%3, %4, %5, %6, %7", "", "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]), "r"(c[4]));
  }
}

// To the same place of every block of the cluster whose bit is set in `blocks`, signalling each block's own mbarrier.
template <int kRank>
MFS_DEVICE void tma_load_multicast(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank],
                                   uint16_t blocks) {
  const uint32_t to = shared_address(to_shared), bar = shared_address(barrier);
#define MFS_MULTICAST ".multicast::cluster"
  if constexpr (kRank == 2) {
    MFS_TMA_LOAD("2d", MFS_MULTICAST, "%3, %4", ", %5", "r"(c[0]), "r"(c[1]), "h"(blocks));
  } else if constexpr (kRank == 3) {
    MFS_TMA_LOAD("3d", MFS_MULTICAST, "%3, %4, %5", ", %6", "r"(c[0]), "r"(c[1]), "r"(c[2]), "h"(blocks));
  } else if constexpr (kRank == 4) {
    MFS_TMA_LOAD("4d", MFS_MULTICAST, "%3, %4, %5, %6", ", %7", "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]), "h"(blocks));
  } else {
    static_assert(kRank == 5);
    MFS_TMA_LOAD("5d", MFS_MULTICAST, "%3, %4, %5, %6, %7", ", %8", "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]), "r"(c[4]),
                 "h"(blocks));
  }
#undef MFS_MULTICAST
}
#undef MFS_TMA_LOAD
#undef MFS_TMA_LOAD_TAIL

#else

void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int* c, int rank, uint32_t blocks, Site site);

template <int kRank>
void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], Site site = Site::current()) {
  tma_load(to_shared, map, barrier, c, kRank, 0, site);
}
template <int kRank>
void tma_load_multicast(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], uint16_t blocks,
                        Site site = Site::current()) {
  tma_load(to_shared, map, barrier, c, kRank, blocks, site);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
