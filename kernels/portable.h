// Marks small functions of plain arithmetic that the CPU loops and the CUDA kernels share. In CPU loops they land inside every
// version of an MFS_MULTIVERSION function; on the GPU the compiler may fuse a product and a sum.
#pragma once

#if defined(__CUDACC__)
#define MFS_PORTABLE __host__ __device__ __forceinline__
#else
#define MFS_PORTABLE [[gnu::always_inline]] inline
#endif
