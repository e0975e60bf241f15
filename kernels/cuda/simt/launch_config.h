// A launch as CUDA's runtime wants it. Only for nvcc.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "kernels/cuda/simt/launch_shape.h"
#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

inline Status cuda_status(cudaError_t error, const LaunchShape& shape) {
  if (error == cudaSuccess) return {};
  return {Code::kInternal, std::string(shape.name) + ": " + cudaGetErrorString(error)};
}

// What a launch needs beyond the kernel's arguments.
struct LaunchConfig {
  cudaLaunchAttribute attributes[3] = {};
  cudaLaunchConfig_t config = {};

  LaunchConfig(cudaStream_t stream, const LaunchShape& shape) {
    unsigned count = 0;
    if (shape.cluster.count() > 1) {
      attributes[count].id = cudaLaunchAttributeClusterDimension;
      attributes[count].val.clusterDim = {shape.cluster.x, shape.cluster.y, shape.cluster.z};
      ++count;
    }
    if (shape.programmatic) {
      attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      attributes[count++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (shape.cooperative) {
      attributes[count].id = cudaLaunchAttributeCooperative;
      attributes[count++].val.cooperative = 1;
    }
    config.gridDim = dim3(shape.grid.x, shape.grid.y, shape.grid.z);
    config.blockDim = dim3(shape.block.x, shape.block.y, shape.block.z);
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = count;
  }
  LaunchConfig(const LaunchConfig&) = delete;
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
