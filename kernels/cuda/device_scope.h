// The current device of a calling thread, for callers whose own device is another.
#pragma once

#include "kernels/status.h"

namespace mfs::core {

// Makes a device the calling thread's until the end of the scope.
class CudaDeviceScope {
 public:
  explicit CudaDeviceScope(int index);
  ~CudaDeviceScope();
  CudaDeviceScope(const CudaDeviceScope&) = delete;
  CudaDeviceScope& operator=(const CudaDeviceScope&) = delete;
  const Status& status() const { return status_; }

 private:
  int before_ = -1;  // -1: nothing to restore
  Status status_;
};

}  // namespace mfs::core
