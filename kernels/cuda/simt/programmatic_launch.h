// Programmatic dependent launch (sm_90): kernels launched with LaunchShape::programmatic may start while the previous one still
// runs. Every thread of every kernel executes grid_dependency_wait(), and before it touches nothing but weights: of what
// earlier kernels wrote or still read, nothing. Code compiled for older GPUs has no wait: it must not be launched this way,
// since the end of a block is a permission to start, too, and what it wrote may not be visible yet (kernels_wait() in
// device.h).
//
// The wait also lets the next kernel start, never anything else: when the next but one starts, this one is complete. So a
// kernel runs at most beside the beginning of the next.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

// Until all earlier kernels of the stream are complete and their results visible. Once a thread of every block is past it, the
// next kernel may start.
MFS_DEVICE void grid_dependency_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#else

void grid_dependency_wait(Site site = Site::current());

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
