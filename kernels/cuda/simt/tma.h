// TMA (sm_90): boxes of a tensor of rank 2 to 5 between global and shared memory. Coordinates start with the contiguous
// dimension and may lie outside, those of stores only past the end: loads fill with zeros, stores leave out. Shared addresses
// are multiples of 128 bytes.
#pragma once

#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/tensor_map.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

// How long L2 keeps what a load brings: evict_first goes before everything else. A hint; results never depend on it.
struct L2Policy {
  uint64_t bits;
};
MFS_DEVICE L2Policy l2_evict_first() {
  L2Policy p;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(p.bits));
  return p;
}
MFS_DEVICE L2Policy l2_evict_normal() {
  L2Policy p;
  asm("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(p.bits));
  return p;
}

// Operands 3 and 4 are only in some tails.
#define MFS_TMA_LOAD(rank, qualifiers, coordinates, tail, ...)                                                     \
  asm volatile("cp.async.bulk.tensor." rank ".shared::cluster.global.tile.mbarrier::complete_tx::bytes" qualifiers \
               " [%0], [%1, {" coordinates "}], [%2]" tail ";" ::"r"(shared_address(to_shared)),                   \
               "l"(&map), "r"(shared_address(barrier)), "h"(blocks), "l"(policy.bits), __VA_ARGS__                 \
               : "memory")
#define MFS_TMA_LOAD_ANY_RANK(qualifiers, tail)                                                                        \
  if constexpr (kRank == 2) {                                                                                          \
    MFS_TMA_LOAD("2d", qualifiers, "%5, %6", tail, "r"(c[0]), "r"(c[1]));                                              \
  } else if constexpr (kRank == 3) {                                                                                   \
    MFS_TMA_LOAD("3d", qualifiers, "%5, %6, %7", tail, "r"(c[0]), "r"(c[1]), "r"(c[2]));                               \
  } else if constexpr (kRank == 4) {                                                                                   \
    MFS_TMA_LOAD("4d", qualifiers, "%5, %6, %7, %8", tail, "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));                \
  } else {                                                                                                             \
    static_assert(kRank == 5);                                                                                         \
    MFS_TMA_LOAD("5d", qualifiers, "%5, %6, %7, %8, %9", tail, "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]), "r"(c[4])); \
  }

// The mbarrier's phase receives box_bytes().
template <int kRank>
MFS_DEVICE void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank]) {
  constexpr uint16_t blocks = 0;
  constexpr L2Policy policy{};
  MFS_TMA_LOAD_ANY_RANK("", "")
}
template <int kRank>
MFS_DEVICE void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], L2Policy policy) {
  constexpr uint16_t blocks = 0;
  MFS_TMA_LOAD_ANY_RANK(".L2::cache_hint", ", %4")
}

// To the same place of every block of the cluster whose bit is set in `blocks`, signalling each block's own mbarrier.
template <int kRank>
MFS_DEVICE void tma_load_multicast(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank],
                                   uint16_t blocks) {
  constexpr L2Policy policy{};
  MFS_TMA_LOAD_ANY_RANK(".multicast::cluster", ", %3")
}
template <int kRank>
MFS_DEVICE void tma_load_multicast(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank],
                                   uint16_t blocks, L2Policy policy) {
  MFS_TMA_LOAD_ANY_RANK(".multicast::cluster.L2::cache_hint", ", %3, %4")
}
#undef MFS_TMA_LOAD_ANY_RANK
#undef MFS_TMA_LOAD

#else

struct L2Policy {};
inline L2Policy l2_evict_first() { return {}; }
inline L2Policy l2_evict_normal() { return {}; }

void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int* c, int rank, uint32_t blocks, Site site);

template <int kRank>
void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], Site site = Site::current()) {
  tma_load(to_shared, map, barrier, c, kRank, 0, site);
}
template <int kRank>
void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], L2Policy,
              Site site = Site::current()) {
  tma_load(to_shared, map, barrier, c, kRank, 0, site);
}
template <int kRank>
void tma_load_multicast(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], uint16_t blocks,
                        Site site = Site::current()) {
  tma_load(to_shared, map, barrier, c, kRank, blocks, site);
}
template <int kRank>
void tma_load_multicast(void* to_shared, const TensorMap& map, uint64_t* barrier, const int (&c)[kRank], uint16_t blocks,
                        L2Policy, Site site = Site::current()) {
  tma_load(to_shared, map, barrier, c, kRank, blocks, site);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
