// Reading stored tensors as floats. All loads go through memcpy: tensors need not be aligned in the file.
#include <bit>
#include <cstring>

#include "kernels/cpu/multiversion.h"
#include "kernels/float16.h"
#include "weights/weights_file.h"

namespace mfs::core {
namespace {

std::uint16_t load16(const std::byte* data, std::int64_t i) {
  std::uint16_t bits;
  std::memcpy(&bits, data + 2 * i, sizeof bits);
  return bits;
}

MFS_MULTIVERSION void read_f16(const std::byte* src, std::int64_t count, float* dst) {
  for (std::int64_t i = 0; i < count; ++i) dst[i] = static_cast<float>(std::bit_cast<Float16>(load16(src, i)));
}

MFS_MULTIVERSION void read_bf16(const std::byte* src, std::int64_t count, float* dst) {
  for (std::int64_t i = 0; i < count; ++i) dst[i] = std::bit_cast<float>(static_cast<std::uint32_t>(load16(src, i)) << 16);
}

MFS_MULTIVERSION void read_i8(const std::byte* src, std::int64_t count, float scale, float* dst) {
  for (std::int64_t i = 0; i < count; ++i) dst[i] = scale * static_cast<float>(static_cast<std::int8_t>(src[i]));
}

}  // namespace

void StoredTensor::read(float* out) const { read_rows(0, dims.empty() ? 1 : dims[0], out); }

void StoredTensor::read_rows(std::int64_t first, std::int64_t count, float* out) const {
  const std::int64_t row = dims.empty() ? 1 : elements / dims[0];
  const std::byte* src = data + first * row * static_cast<std::int64_t>(size_of(dtype));
  switch (dtype) {
    case DType::kF16:
      return read_f16(src, count * row, out);
    case DType::kBF16:
      return read_bf16(src, count * row, out);
    case DType::kI8:
      for (std::int64_t r = 0; r < count; ++r) {
        float row_scale;
        std::memcpy(&row_scale, scale + 4 * (first + r), sizeof row_scale);
        read_i8(src + r * row, row, row_scale, out + r * row);
      }
      return;
    default:
      std::memcpy(out, src, static_cast<std::size_t>(count * row) * sizeof(float));
  }
}

}  // namespace mfs::core
