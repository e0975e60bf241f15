// TMA stores: a box from shared memory to a tensor. The thread that stores commits and waits: for the source to be free again
// (tma_store_wait_read, at the latest before the block ends) or for the result to be in memory (tma_store_wait).
#pragma once

#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/tensor_map.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

#define MFS_TMA_STORE(rank, coordinates, ...)                                                                                 \
  asm volatile("cp.async.bulk.tensor." rank ".global.shared::cta.tile.bulk_group [%0, {" coordinates "}], [%1];" ::"l"(&map), \
               "r"(from), __VA_ARGS__                                                                                         \
               : "memory")
template <int kRank>
MFS_DEVICE void tma_store(const TensorMap& map, const void* from_shared, const int (&c)[kRank]) {
  const uint32_t from = shared_address(from_shared);
  if constexpr (kRank == 2) {
    MFS_TMA_STORE("2d", "%2, %3", "r"(c[0]), "r"(c[1]));
  } else if constexpr (kRank == 3) {
    MFS_TMA_STORE("3d", "%2, %3, %4", "r"(c[0]), "r"(c[1]), "r"(c[2]));
  } else if constexpr (kRank == 4) {
    MFS_TMA_STORE("4d", "%2, %3, %4, %5", "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
  } else {
    static_assert(kRank == 5);
    MFS_TMA_STORE("5d", "%2, %3, %4, %5, %6", "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]), "r"(c[4]));
  }
}
#undef MFS_TMA_STORE
MFS_DEVICE void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int kLeft>
MFS_DEVICE void tma_store_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kLeft) : "memory");
}
template <int kLeft>
MFS_DEVICE void tma_store_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kLeft) : "memory");
}
MFS_DEVICE void prefetch(const TensorMap& map) { asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory"); }

#else

void tma_store(const TensorMap& map, const void* from_shared, const int* c, int rank, Site site);
void tma_store_commit();
void tma_store_wait(unsigned left);
inline void prefetch(const TensorMap&) {}

template <int kRank>
void tma_store(const TensorMap& map, const void* from_shared, const int (&c)[kRank], Site site = Site::current()) {
  tma_store(map, from_shared, c, kRank, site);
}
// Here, source read and result written are one event.
template <int kLeft>
void tma_store_wait_read() {
  tma_store_wait(kLeft);
}
template <int kLeft>
void tma_store_wait() {
  tma_store_wait(kLeft);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
