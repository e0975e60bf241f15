#include "runtime/build_info.h"

#include <omp.h>

#if MFS_HAVE_CPU
#include "kernels/cpu/onednn_version.h"
#define MFS_CPU_ENGINE "oneDNN " MFS_ONEDNN_VERSION
#else
#define MFS_CPU_ENGINE "none"
#endif

#if MFS_HAVE_CUDA
#define MFS_CUDA_INFO "targets " MFS_CUDA_TARGETS
#else
#define MFS_CUDA_INFO "none"
#endif

namespace mfs::core {

const char* build_info() { return "cpu: " MFS_CPU_ENGINE "; cuda: " MFS_CUDA_INFO; }

int all_threads() { return omp_get_num_procs(); }

}  // namespace mfs::core
