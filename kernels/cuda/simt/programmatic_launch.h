// Programmatic dependent launch (sm_90): kernels launched with LaunchShape::programmatic may start while the previous one still
// runs. Every thread of every such kernel executes grid_dependency_wait() before it touches what earlier kernels wrote or read.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

// Until all earlier kernels of the stream are complete and their results visible.
MFS_DEVICE void grid_dependency_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// The next kernel may start once every block has said so or ended.
MFS_DEVICE void launch_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#else

void grid_dependency_wait(Site site = Site::current());
void launch_dependents();

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
