#include "kernels/cuda/simt/tensor_map.h"

namespace mfs::core::simt {

size_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::kU8:
      return 1;
    case ElementType::kF16:
    case ElementType::kBF16:
      return 2;
    case ElementType::kF32:
      return 4;
  }
  return 0;
}

size_t box_bytes(const TensorShape& shape) {
  size_t bytes = element_bytes(shape.type);
  for (int i = 0; i < shape.rank; ++i) bytes *= (shape.box[i] + shape.step[i] - 1) / shape.step[i];
  return bytes;
}

Status check(const TensorShape& shape) {
  const auto refuse = [](int dimension, const char* why) {
    return invalid("tensor map, dimension " + std::to_string(dimension) + ": " + why);
  };
  if (shape.rank < 2 || shape.rank > 5) return invalid("tensor map: the rank must be 2 to 5");
  if (reinterpret_cast<uintptr_t>(shape.base) % 16 != 0 || !shape.base)
    return invalid("tensor map: the address must be a multiple of 16");
  for (int i = 0; i < shape.rank; ++i) {
    if (shape.extent[i] == 0 || shape.extent[i] > (uint64_t{1} << 32)) return refuse(i, "the extent must be 1 to 2^32");
    if (shape.box[i] == 0 || shape.box[i] > 256) return refuse(i, "the box must be 1 to 256");
    if (shape.step[i] == 0 || shape.step[i] > 8) return refuse(i, "the step must be 1 to 8");
    if (i > 0 && (shape.stride[i] % 16 != 0 || shape.stride[i] >= (uint64_t{1} << 40))) {
      return refuse(i, "the stride must be a multiple of 16 bytes and less than 2^40");
    }
  }
  if (shape.step[0] != 1) return refuse(0, "TMA has no step here");
  const size_t row = shape.box[0] * element_bytes(shape.type);
  if (row % 16 != 0) return refuse(0, "the box must be a multiple of 16 bytes");
  if (shape.swizzle != Swizzle::kNone && row > static_cast<size_t>(shape.swizzle)) {
    return refuse(0, "the box is wider than the row of the swizzle");
  }
  if (box_bytes(shape) > 232448) return invalid("tensor map: the box is larger than shared memory");
  return {};
}

}  // namespace mfs::core::simt
