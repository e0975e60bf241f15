// launch(): the only way to start a kernel, in both builds.
#pragma once

#include <tuple>
#include <utility>

#include "kernels/cuda/simt/launch_shape.h"
#include "kernels/cuda/simt/platform.h"

#if MFS_SIMT_HARDWARE
#include "kernels/cuda/simt/shared_allowance.h"
#else
#include "kernels/cuda/simt/emulation/machine.h"
#endif

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

using Stream = cudaStream_t;

inline Status cuda_status(cudaError_t error, const LaunchShape& shape) {
  if (error == cudaSuccess) return {};
  return {Code::kInternal, std::string(shape.name) + ": " + cudaGetErrorString(error)};
}

// What a launch needs beyond the kernel's arguments.
struct LaunchConfig {
  cudaLaunchAttribute attributes[3] = {};
  cudaLaunchConfig_t config = {};

  LaunchConfig(Stream stream, const LaunchShape& shape) {
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

template <class... Params, class... Args>
Status launch(Stream stream, const LaunchShape& shape, void (*kernel)(Params...), Args&&... args) {
  if (Status s = check(shape); !s) return s;
  if (Status s = cuda_status(allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes), shape); !s)
    return s;
  const LaunchConfig launch(stream, shape);
  return cuda_status(cudaLaunchKernelEx(&launch.config, kernel, std::forward<Args>(args)...), shape);
}

// How many of the shape's clusters run at the same time on a device with so many SMs that has nothing else to do.
template <class... Params>
Status clusters_at_once(const LaunchShape& shape, int, void (*kernel)(Params...), int& clusters) {
  if (Status s = check(shape); !s) return s;
  if (Status s = cuda_status(allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes), shape); !s)
    return s;
  const LaunchConfig launch(nullptr, shape);
  return cuda_status(cudaOccupancyMaxActiveClusters(&clusters, kernel, &launch.config), shape);
}

#else

using Stream = emulation::Machine*;

// Queues the kernel with copies of its arguments; Machine::synchronize() runs the queue and returns what went wrong.
template <class... Params, class... Args>
Status launch(Stream stream, const LaunchShape& shape, void (*kernel)(Params...), Args&&... args) {
  if (Status s = check(shape); !s) return s;
  std::tuple<Params...> copies(std::forward<Args>(args)...);
  stream->enqueue(shape, [kernel, copies] { std::apply(kernel, copies); });
  return {};
}

template <class... Params>
Status clusters_at_once(const LaunchShape& shape, int multiprocessors, void (*)(Params...), int& clusters) {
  clusters = multiprocessors / static_cast<int>(shape.cluster.count());
  return check(shape);
}

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
