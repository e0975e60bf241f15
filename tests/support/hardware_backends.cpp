#include <cuda_runtime.h>

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/cuda/device.h"
#include "tests/support/backends.h"
#include "tests/support/memory.h"

namespace mfs::core::test {

const std::vector<Backend>& backends() {
  static std::string why_none;
  static const std::vector<CudaDeviceInfo> devices = cuda_devices(why_none);
  static const bool selected = static_cast<bool>(select_device(devices.front().index));
  if (!selected) throw std::runtime_error("the GPU cannot be selected");
  static const CudaStream stream;
  static const std::vector<Backend> all{
      {devices.front().name.c_str(), stream.on(devices.front()), std::numeric_limits<std::int64_t>::max()}};
  return all;
}

Status finish(const Backend& backend) { return wait(backend.device); }

// Managed memory: the host writes it before and reads it after a kernel.
void* allocate(std::size_t bytes) {
  void* p = nullptr;
  if (const cudaError_t error = cudaMallocManaged(&p, bytes); error != cudaSuccess)
    throw std::runtime_error(std::string("managed memory: ") + cudaGetErrorString(error));
  return p;
}
void release(void* p) { cudaFree(p); }

}  // namespace mfs::core::test
