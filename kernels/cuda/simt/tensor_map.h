// Tensor maps: how TMA sees a tensor in global memory. Built on the host, passed to kernels as MFS_GRID_CONSTANT const
// TensorMap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/simt/platform.h"
#include "kernels/status.h"

#if MFS_SIMT_HARDWARE
#include <cuda.h>
#endif

namespace mfs::core::simt {

enum class Swizzle : uint32_t { kNone = 0, k32 = 32, k64 = 64, k128 = 128 };  // the value: bytes of the pattern's row
enum class ElementType { kU8, kF16, kBF16, kF32 };

struct TensorShape {
  ElementType type = ElementType::kF16;
  int rank = 0;  // 2..5; dimension 0 is the contiguous one
  const void* base = nullptr;
  uint64_t extent[5] = {1, 1, 1, 1, 1};
  uint64_t stride[5] = {0, 0, 0, 0, 0};  // bytes; of dimensions 1 and up
  uint32_t box[5] = {1, 1, 1, 1, 1};     // counted in the tensor: with a step s, ceil(box / s) elements arrive
  uint32_t step[5] = {1, 1, 1, 1, 1};    // element strides; of dimension 0 always 1
  Swizzle swizzle = Swizzle::kNone;
};

size_t element_bytes(ElementType type);
size_t box_bytes(const TensorShape& shape);  // in shared memory; what the mbarrier has to expect

// The limits of the hardware, in words; checked by make_tensor_map() in both builds.
Status check(const TensorShape& shape);

inline namespace MFS_SIMT_BACKEND {
#if MFS_SIMT_HARDWARE
using TensorMap = CUtensorMap;
#else
struct alignas(64) TensorMap {
  TensorShape shape;
};
#endif
Status make_tensor_map(TensorMap& map, const TensorShape& shape);
}  // namespace MFS_SIMT_BACKEND

}  // namespace mfs::core::simt
