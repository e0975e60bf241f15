#include "kernels/cuda/simt/tensor_map.h"

#include <cuda_runtime.h>

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {
namespace {

CUtensorMapDataType data_type(ElementType type) {
  switch (type) {
    case ElementType::kF16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case ElementType::kBF16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case ElementType::kF32:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case ElementType::kU8:
      break;
  }
  return CU_TENSOR_MAP_DATA_TYPE_UINT8;
}

CUtensorMapSwizzle swizzle_of(Swizzle swizzle) {
  switch (swizzle) {
    case Swizzle::k32:
      return CU_TENSOR_MAP_SWIZZLE_32B;
    case Swizzle::k64:
      return CU_TENSOR_MAP_SWIZZLE_64B;
    case Swizzle::k128:
      return CU_TENSOR_MAP_SWIZZLE_128B;
    case Swizzle::kNone:
      break;
  }
  return CU_TENSOR_MAP_SWIZZLE_NONE;
}

// Not linked against the driver, so that the program also starts on machines without one. Null: it is too old.
decltype(&cuTensorMapEncodeTiled) find_encode() {
  void* address = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &address, 12000, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) return nullptr;
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(address);
}

}  // namespace

Status make_tensor_map(TensorMap& map, const TensorShape& shape) {
  if (Status s = check(shape); !s) return s;
  static const auto encode = find_encode();
  if (!encode) return {Code::kNoDevice, "tensor map: the driver has no cuTensorMapEncodeTiled"};
  const CUresult result =
      encode(&map, data_type(shape.type), static_cast<cuuint32_t>(shape.rank), const_cast<void*>(shape.base), shape.extent,
             shape.stride + 1, shape.box, shape.step, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(shape.swizzle),
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) return {Code::kInternal, "tensor map: the driver refuses it, error " + std::to_string(result)};
  return {};
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
