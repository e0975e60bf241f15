// Memory that a kernel can use: of the device under nvcc, else of the host.
#pragma once

#include <cstring>
#include <vector>

#include "kernels/cuda/simt/platform.h"

#if MFS_SIMT_HARDWARE
#include <cuda_runtime.h>
#endif

namespace mfs::test {

#if MFS_SIMT_HARDWARE

template <class T>
class Buffer {
 public:
  explicit Buffer(const std::vector<T>& values) : size_(values.size()) {
    cudaMalloc(&data_, size_ * sizeof(T));
    cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  ~Buffer() { cudaFree(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> result(size_);
    cudaMemcpy(result.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost);
    return result;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

#else

template <class T>
class Buffer {
 public:
  explicit Buffer(const std::vector<T>& values) : bytes_(values.size() * sizeof(T) + 256), size_(values.size()) {
    std::memcpy(data(), values.data(), size_ * sizeof(T));
  }
  T* data() { return reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(bytes_.data()) + 255) / 256 * 256); }
  std::vector<T> values() { return std::vector<T>(data(), data() + size_); }

 private:
  std::vector<unsigned char> bytes_;
  size_t size_;
};

#endif

}  // namespace mfs::test
