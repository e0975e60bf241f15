// More shared memory than 48 KB has to be allowed for a kernel, once on every device.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace mfs::core::simt {

// Each thread remembers what it has allowed lately: nothing to lock, and a launch costs no call for it.
inline cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
  constexpr std::size_t kAlways = 48 * 1024;
  if (bytes <= kAlways) return cudaSuccess;
  struct Allowed {
    const void* kernel;
    int device;
    std::size_t bytes;
  };
  constexpr unsigned kRemembered = 32;
  thread_local Allowed allowed[kRemembered] = {};
  thread_local unsigned next = 0;
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
  for (const Allowed& a : allowed)
    if (a.kernel == kernel && a.device == device && a.bytes >= bytes) return cudaSuccess;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error == cudaSuccess) allowed[next++ % kRemembered] = {kernel, device, bytes};
  return error;
}

}  // namespace mfs::core::simt
