// Atomic updates of shared and global memory, and the flags that blocks of one grid tell each other about.
//
// Plain atomics are relaxed: they order nothing else. Data is handed over with atomic_add_release/store_release on one side
// and load_acquire/wait_for_flip on the other; fence_gpu() around relaxed atomics does the same.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

MFS_DEVICE float atomic_add(float* p, float value) { return atomicAdd(p, value); }
MFS_DEVICE int atomic_add(int* p, int value) { return atomicAdd(p, value); }
MFS_DEVICE uint32_t atomic_add(uint32_t* p, uint32_t value) { return atomicAdd(p, value); }
MFS_DEVICE int atomic_max(int* p, int value) { return atomicMax(p, value); }
MFS_DEVICE uint32_t atomic_max(uint32_t* p, uint32_t value) { return atomicMax(p, value); }
MFS_DEVICE uint32_t atomic_compare_exchange(uint32_t* p, uint32_t expected, uint32_t value) {
  return atomicCAS(p, expected, value);
}

MFS_DEVICE uint32_t atomic_add_release(uint32_t* p, uint32_t value) {
  uint32_t old;
  asm volatile("atom.add.acq_rel.gpu.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
  return old;
}
MFS_DEVICE void store_release(uint32_t* p, uint32_t value) {
  asm volatile("st.release.gpu.u32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}
MFS_DEVICE uint32_t load_acquire(const uint32_t* p) {
  uint32_t value;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
  return value;
}
MFS_DEVICE void fence_gpu() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

// The only spin-wait on global memory, for grid barriers of cooperative launches: until the top bit is not what it is in `old`.
// Debug builds trap after some seconds.
MFS_DEVICE void wait_for_flip(const uint32_t* p, uint32_t old) {
#ifndef NDEBUG
  const long long start = clock64();
#endif
  while (((load_acquire(p) ^ old) & 0x80000000u) == 0) {
#ifndef NDEBUG
    if (clock64() - start > 10'000'000'000ll) __trap();
#endif
  }
}

#else

float atomic_add(float* p, float value, Site site = Site::current());
int atomic_add(int* p, int value, Site site = Site::current());
uint32_t atomic_add(uint32_t* p, uint32_t value, Site site = Site::current());
int atomic_max(int* p, int value, Site site = Site::current());
uint32_t atomic_max(uint32_t* p, uint32_t value, Site site = Site::current());
uint32_t atomic_compare_exchange(uint32_t* p, uint32_t expected, uint32_t value, Site site = Site::current());
uint32_t atomic_add_release(uint32_t* p, uint32_t value, Site site = Site::current());
void store_release(uint32_t* p, uint32_t value, Site site = Site::current());
uint32_t load_acquire(const uint32_t* p, Site site = Site::current());
void fence_gpu();
void wait_for_flip(const uint32_t* p, uint32_t old, Site site = Site::current());

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
