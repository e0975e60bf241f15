// cp.async: copies of 4, 8 or 16 bytes from global to shared memory that a thread groups and waits for. What other threads
// copied is visible after their wait and a barrier.
#pragma once

#include "kernels/cuda/simt/index.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

// The first source_bytes come from global memory, the rest becomes zero (source_bytes = 0: `from` is not read).
template <int kBytes>
MFS_DEVICE void copy_async(void* to_shared, const void* from, uint32_t source_bytes = kBytes) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  const uint32_t to = shared_address(to_shared);
  if constexpr (kBytes == 16) {  // past the L1 cache
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(source_bytes) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(kBytes), "r"(source_bytes)
                 : "memory");
  }
}
MFS_DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most kLeft of this thread's groups are under way.
template <int kLeft>
MFS_DEVICE void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

#else

void copy_async(void* to_shared, const void* from, uint32_t bytes, uint32_t source_bytes, Site site);
void copy_async_commit();
void copy_async_wait(unsigned left);

template <int kBytes>
void copy_async(void* to_shared, const void* from, uint32_t source_bytes = kBytes, Site site = Site::current()) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  copy_async(to_shared, from, kBytes, source_bytes, site);
}
template <int kLeft>
void copy_async_wait() {
  copy_async_wait(kLeft);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
