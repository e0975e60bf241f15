// The wrappers that every supported GPU has, for sm_80: whether they compile.
#include "kernels/cuda/simt/launch.h"
#include "tests/simt/conformance_kernels.h"

namespace mfs::core::MFS_SIMT_BACKEND {

template __global__ void load_matrix_conformance<4, false>(const uint32_t*, uint32_t*);
template __global__ void load_matrix_conformance<2, true>(const uint32_t*, uint32_t*);
template __global__ void mma_conformance<Half>(const uint32_t*, float*);
template __global__ void mma_conformance<BFloat16>(const uint32_t*, float*);
template __global__ void mma_conformance<int8_t>(const uint32_t*, int32_t*);
template __global__ void copy_async_conformance<4>(const unsigned char*, unsigned char*);
template __global__ void copy_async_conformance<16>(const unsigned char*, unsigned char*);

}  // namespace mfs::core::MFS_SIMT_BACKEND
