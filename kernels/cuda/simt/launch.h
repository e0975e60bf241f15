// launch(): the only way to start a kernel, in both builds.
#pragma once

#include <tuple>
#include <utility>

#include "kernels/cuda/simt/launch_shape.h"
#include "kernels/cuda/simt/platform.h"

#if MFS_SIMT_HARDWARE
#include "kernels/cuda/simt/launch_config.h"
#include "kernels/cuda/simt/shared_allowance.h"
#else
#include "kernels/cuda/simt/emulation/machine.h"
#endif

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE
using Stream = cudaStream_t;
#else
using Stream = emulation::Machine*;
#endif

// A stream, and whether all kernels queued here are launched programmatically.
struct Queue {
  Stream stream = nullptr;
  bool programmatic = false;

  Queue(Stream s, bool p = false) : stream(s), programmatic(p) {}  // NOLINT: a stream is a queue of plain launches

  // Not a cooperative kernel: it needs room for all of its blocks, which is rarely there while another one ends.
  bool allows(const LaunchShape& shape) const { return (programmatic || shape.programmatic) && !shape.cooperative; }
};

#if MFS_SIMT_HARDWARE

template <class... Params, class... Args>
Status launch(Queue queue, LaunchShape shape, void (*kernel)(Params...), Args&&... args) {
  shape.programmatic = queue.allows(shape);
  if (Status s = check(shape); !s) return s;
  if (Status s = cuda_status(allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes), shape); !s)
    return s;
  const LaunchConfig launch(queue.stream, shape);
  return cuda_status(cudaLaunchKernelEx(&launch.config, kernel, std::forward<Args>(args)...), shape);
}

// How many of the shape's clusters run at the same time on a device with so many SMs that has nothing else to do.
template <class... Params>
Status clusters_at_once(const LaunchShape& shape, int, void (*kernel)(Params...), int& clusters) {
  if (Status s = check(shape); !s) return s;
  if (Status s = cuda_status(allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes), shape); !s)
    return s;
  const LaunchConfig launch(nullptr, shape);
  const cudaError_t error = cudaOccupancyMaxActiveClusters(&clusters, kernel, &launch.config);
  if (error != cudaSuccess) cudaGetLastError();  // or the caller's next launch seems to have failed
  return cuda_status(error, shape);
}

#else

// Queues the kernel with copies of its arguments; Machine::synchronize() runs the queue and returns what went wrong.
template <class... Params, class... Args>
Status launch(Queue queue, LaunchShape shape, void (*kernel)(Params...), Args&&... args) {
  shape.programmatic = queue.allows(shape);
  if (Status s = check(shape); !s) return s;
  std::tuple<Params...> copies(std::forward<Args>(args)...);
  queue.stream->enqueue(shape, [kernel, copies] { std::apply(kernel, copies); });
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
