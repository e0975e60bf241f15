// Reading stored tensors as floats. All loads go through memcpy: tensors need not be aligned in the file.
#include <bit>
#include <cstring>

#include "kernels/cpu/multiversion.h"
#include "weights/weights_file.h"

namespace mfs::core {
namespace {

std::uint16_t load16(const std::byte* data, std::int64_t i) {
  std::uint16_t bits;
  std::memcpy(&bits, data + 2 * i, sizeof bits);
  return bits;
}

// Branch-free, exact for subnormals too, and independent of the thread's flush-to-zero mode: the subtraction has normal
// operands and a normal (or zero) result.
float half_to_float(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffu, sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t normal = (magnitude << 13) + (112u << 23);
  const float subnormal = std::bit_cast<float>((113u << 23) + (magnitude << 13)) - std::bit_cast<float>(113u << 23);
  const std::uint32_t finite = magnitude < 0x0400u ? std::bit_cast<std::uint32_t>(subnormal) : normal;
  return std::bit_cast<float>(sign | (magnitude >= 0x7c00u ? finite + (112u << 23) : finite));
}

MFS_MULTIVERSION void read_f16(const std::byte* src, std::int64_t count, float* dst) {
  for (std::int64_t i = 0; i < count; ++i) dst[i] = half_to_float(load16(src, i));
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
