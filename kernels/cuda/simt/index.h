// Who am I: indices of thread, block and grid, and the block's one piece of dynamic shared memory.
#pragma once

#include "kernels/cuda/simt/launch_shape.h"
#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

struct Index3 {
  unsigned x, y, z;
};
extern __shared__ __align__(1024) unsigned char simt_shared_memory[];

MFS_DEVICE Index3 thread_index() { return {threadIdx.x, threadIdx.y, threadIdx.z}; }
MFS_DEVICE Index3 block_index() { return {blockIdx.x, blockIdx.y, blockIdx.z}; }
MFS_DEVICE Index3 block_size() { return {blockDim.x, blockDim.y, blockDim.z}; }
MFS_DEVICE Index3 grid_size() { return {gridDim.x, gridDim.y, gridDim.z}; }
MFS_DEVICE unsigned char* shared_memory() { return simt_shared_memory; }
// The 32-bit address in the shared window that PTX operands and wgmma descriptors use. Never zero-based.
MFS_DEVICE uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

#else

using Index3 = Dim3;

Index3 thread_index();
Index3 block_index();
Index3 block_size();
Index3 grid_size();
unsigned char* shared_memory();  // aligned to 1024 bytes, filled with 0xff (NaN) at the start of a block
uint32_t shared_address(const void* p, Site site = Site::current());

#endif

// For one-dimensional blocks.
MFS_DEVICE unsigned lane_index() { return thread_index().x % 32; }
MFS_DEVICE unsigned warp_index() { return thread_index().x / 32; }

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
