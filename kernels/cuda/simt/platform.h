// One kernel source, two builds: PTX under nvcc, an emulation with one fiber per CUDA thread under the host compiler.
//
// Device code calls the hardware only through the wrappers of this folder. Kernels live in a namespace that ends in
// MFS_SIMT_BACKEND, so that both builds of one kernel can be linked into one program:
//
//     namespace mfs::core::MFS_SIMT_BACKEND { MFS_KERNEL void upsample_kernel(...); }
//
// No raw asm, no static __shared__, no __constant__ or __device__ globals outside this folder.
#pragma once

#if defined(__CUDACC__)
#define MFS_SIMT_HARDWARE 1
#define MFS_SIMT_BACKEND hardware
#define MFS_DEVICE __device__ __forceinline__
#define MFS_HOST_DEVICE __host__ __device__ __forceinline__
#define MFS_KERNEL __global__
#define MFS_LAUNCH_BOUNDS(...) __launch_bounds__(__VA_ARGS__)
#define MFS_GRID_CONSTANT __grid_constant__
#define MFS_UNROLL _Pragma("unroll")
#else
#define MFS_SIMT_HARDWARE 0
#define MFS_SIMT_BACKEND emulated
#define MFS_DEVICE inline
#define MFS_HOST_DEVICE inline
#define MFS_KERNEL
#define MFS_LAUNCH_BOUNDS(...)
#define MFS_GRID_CONSTANT
#define MFS_UNROLL

#include <source_location>

namespace mfs::core::simt {
// Where a kernel called a wrapper: what reports name, and what `.aligned` operations compare across a warp.
using Site = std::source_location;
}  // namespace mfs::core::simt
#endif

#include <cstddef>
#include <cstdint>
