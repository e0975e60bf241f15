// mbarriers (sm_90): barriers in shared memory that complete a phase when the expected arrivals and bytes have come.
// A barrier that TMA or another block uses needs fence_mbarrier_init() by the thread that initialised it, and a barrier.
//
// Two kinds of arrival in another block and of waiting. The plain ones order what TMA, wgmma and this block do, and cost next
// to nothing. What ordinary stores have left in another block's memory needs mbarrier_publish_remote() there and
// mbarrier_wait_published(), which fence memory for the whole GPU.
#pragma once

#include "kernels/cuda/simt/index.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

MFS_DEVICE void mbarrier_init(uint64_t* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
MFS_DEVICE void mbarrier_invalidate(uint64_t* barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}
MFS_DEVICE void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
MFS_DEVICE void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and lets the phase also wait for that many bytes of TMA.
MFS_DEVICE void mbarrier_arrive_expect(uint64_t* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}

#define MFS_ARRIVE_REMOTE(qualifiers)                                                                     \
  asm volatile(                                                                                           \
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"                                  \
      "mbarrier.arrive" qualifiers ".shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(barrier)), \
      "r"(rank)                                                                                           \
      : "memory")
// In another block of the cluster: the barrier at the same place of that block's shared memory.
MFS_DEVICE void mbarrier_arrive_remote(uint64_t* barrier, uint32_t rank) { MFS_ARRIVE_REMOTE(""); }
MFS_DEVICE void mbarrier_publish_remote(uint64_t* barrier, uint32_t rank) { MFS_ARRIVE_REMOTE(".release.cluster"); }
#undef MFS_ARRIVE_REMOTE

#define MFS_TRY_WAIT(qualifiers)                                         \
  asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity" qualifiers   \
               ".shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}" \
               : "=r"(done)                                              \
               : "r"(shared_address(barrier)), "r"(parity)               \
               : "memory")
template <bool kPublished = false>
MFS_DEVICE bool mbarrier_test(uint64_t* barrier, uint32_t parity) {
  uint32_t done;
  if constexpr (kPublished)
    MFS_TRY_WAIT(".acquire.cluster");
  else
    MFS_TRY_WAIT("");
  return done != 0;
}
#undef MFS_TRY_WAIT
// Until the phase of this parity (0 for the first, then alternating) is complete. Debug builds trap after some seconds.
template <bool kPublished = false>
MFS_DEVICE void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
#ifdef NDEBUG
  while (!mbarrier_test<kPublished>(barrier, parity)) {
  }
#else
  const long long start = clock64();
  while (!mbarrier_test<kPublished>(barrier, parity)) {
    if (clock64() - start > 10'000'000'000ll) __trap();
  }
#endif
}
MFS_DEVICE void mbarrier_wait_published(uint64_t* barrier, uint32_t parity) { mbarrier_wait<true>(barrier, parity); }

#else

void mbarrier_init(uint64_t* barrier, uint32_t arrivals, Site site = Site::current());
void mbarrier_invalidate(uint64_t* barrier, Site site = Site::current());
void fence_mbarrier_init();
void mbarrier_arrive(uint64_t* barrier, Site site = Site::current());
void mbarrier_arrive_expect(uint64_t* barrier, uint32_t bytes, Site site = Site::current());
void mbarrier_arrive_remote(uint64_t* barrier, uint32_t rank, Site site = Site::current());
void mbarrier_publish_remote(uint64_t* barrier, uint32_t rank, Site site = Site::current());
bool mbarrier_test(uint64_t* barrier, uint32_t parity, Site site = Site::current());
void mbarrier_wait(uint64_t* barrier, uint32_t parity, Site site = Site::current());
void mbarrier_wait_published(uint64_t* barrier, uint32_t parity, Site site = Site::current());

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
