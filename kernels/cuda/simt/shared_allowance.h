// More shared memory than 48 KB has to be allowed for a kernel, once on every device.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace mfs::core::simt {

// All that a block can have, whatever this launch needs, so that no thread takes back what another one has allowed. Each thread
// remembers what it has allowed lately: nothing to lock, and a launch costs no call for it.
inline cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
  constexpr std::size_t kAlways = 48 * 1024;
  if (bytes <= kAlways) return cudaSuccess;
  struct Allowed {
    const void* kernel;
    int device;
  };
  constexpr unsigned kRemembered = 32;
  thread_local Allowed allowed[kRemembered] = {};
  thread_local unsigned next = 0;
  int device = 0, most = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
  for (const Allowed& a : allowed)
    if (a.kernel == kernel && a.device == device) return cudaSuccess;
  cudaError_t error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error == cudaSuccess) error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
  if (error == cudaSuccess) allowed[next++ % kRemembered] = {kernel, device};
  return error;
}

}  // namespace mfs::core::simt
