// Clusters (sm_90): blocks that run at the same time, meet at a barrier and reach into each other's shared memory.
// A block must not exit while another may still touch its shared memory, its mbarriers included: it ends with sync_cluster(),
// or when it has waited for the last signal of every other. In code for older GPUs a block is a cluster of its own.
#pragma once

#include "kernels/cuda/simt/index.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE && defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900

MFS_DEVICE uint32_t cluster_rank() { return 0; }
MFS_DEVICE uint32_t cluster_blocks() { return 1; }
MFS_DEVICE void cluster_arrive() {}
MFS_DEVICE void cluster_wait() { asm volatile("barrier.sync.aligned 0;" ::: "memory"); }
template <class T>
MFS_DEVICE T* shared_of(T* p, uint32_t) {
  return p;
}
MFS_DEVICE void sync_cluster() { cluster_wait(); }
MFS_DEVICE void meet_cluster() { cluster_wait(); }

#elif MFS_SIMT_HARDWARE

MFS_DEVICE uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank)::"memory");
  return rank;
}
MFS_DEVICE uint32_t cluster_blocks() {
  uint32_t blocks;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks)::"memory");
  return blocks;
}
MFS_DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
MFS_DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
// The same place in the shared memory of another block, for ordinary loads, stores and atomics.
template <class T>
MFS_DEVICE T* shared_of(T* p, uint32_t rank) {
  uint64_t remote;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(remote) : "l"(p), "r"(rank) : "memory");
  return reinterpret_cast<T*>(remote);
}
MFS_DEVICE void sync_cluster() {
  cluster_arrive();
  cluster_wait();
}
// The same without the fence of memory for the whole GPU, to begin together: mbarriers have been fenced by
// fence_mbarrier_init(), and nothing else is handed over.
MFS_DEVICE void meet_cluster() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
  cluster_wait();
}

#else

uint32_t cluster_rank();
uint32_t cluster_blocks();
void cluster_arrive(Site site = Site::current());
void cluster_wait(Site site = Site::current());
void sync_cluster(Site site = Site::current());
void meet_cluster(Site site = Site::current());
void* shared_of_block(void* p, uint32_t rank, Site site);
template <class T>
T* shared_of(T* p, uint32_t rank, Site site = Site::current()) {
  return static_cast<T*>(shared_of_block(p, rank, site));
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
