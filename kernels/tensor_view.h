// Types every kernel speaks: element types, NHWC shapes and non-owning views of tensors and photos.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mfs::core {

enum class DType : std::uint8_t { kF32, kF16, kBF16, kI8, kU8, kE4m3 };

constexpr std::size_t size_of(DType t) { return t == DType::kF32 ? 4 : (t == DType::kF16 || t == DType::kBF16) ? 2 : 1; }
constexpr const char* name_of(DType t) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "i8", "u8", "e4m3"};
  return kNames[static_cast<int>(t)];
}

// What activations are rounded to for int8 and fp8.
constexpr bool is_narrow(DType t) { return t == DType::kU8 || t == DType::kE4m3; }
// The largest of them, in units of their scale.
constexpr float largest_of_narrow(DType t) { return t == DType::kU8 ? 255 : 448; }

struct Shape {
  int n = 1, h = 1, w = 1, c = 1;

  std::int64_t pixels() const { return std::int64_t{n} * h * w; }
  std::int64_t elements() const { return pixels() * c; }
  bool operator==(const Shape&) const = default;
};

std::string to_string(const Shape& s);  // "1x64x64x256"

// NHWC in memory. `pitch` is the distance between neighbouring pixels in elements: c when the tensor is dense, more when it
// is a slice of the channels of a wider tensor. Rows and images follow each other without gaps.
template <typename Void>
struct BasicView {
  Void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  int pitch = 0;

  BasicView() = default;
  BasicView(Void* d, DType t, Shape s, int p = 0) : data(d), dtype(t), shape(s), pitch(p ? p : s.c) {}
  template <typename Other>
  requires(!__is_same(Other, Void)) BasicView(const BasicView<Other>& o)
      : data(o.data), dtype(o.dtype), shape(o.shape), pitch(o.pitch) {}  // NOLINT: widening

  explicit operator bool() const { return data != nullptr; }
  bool dense() const { return pitch == shape.c; }
  std::int64_t bytes() const { return shape.elements() * static_cast<std::int64_t>(size_of(dtype)); }  // of the payload
};
using View = BasicView<const void>;
using MutView = BasicView<void>;

enum class PixelFormat : std::uint8_t { kRgb, kRgba, kBgr, kGrey };

constexpr int channels_of(PixelFormat f) { return f == PixelFormat::kGrey ? 1 : f == PixelFormat::kRgba ? 4 : 3; }

// A decoded photo: 8 bits per channel, rows `row_stride` bytes apart (negative strides are not supported).
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0, height = 0;
  std::int64_t row_stride = 0;
  PixelFormat format = PixelFormat::kRgb;

  const std::uint8_t* row(int y) const { return data + y * row_stride; }
};

struct MutImageView {
  std::uint8_t* data = nullptr;
  int width = 0, height = 0;
  std::int64_t row_stride = 0;
  PixelFormat format = PixelFormat::kRgb;

  std::uint8_t* row(int y) const { return data + y * row_stride; }
};

// A single-channel float map of the photo's size (probability), rows `row_stride` bytes apart.
struct MapView {
  const float* data = nullptr;
  int width = 0, height = 0;
  std::int64_t row_stride = 0;

  const float* row(int y) const {
    return reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(data) + y * row_stride);
  }
};

// Photo pixels; x to the right, y down; (0, 0) is the centre of the top-left pixel.
struct Point {
  float x = 0, y = 0;
};

}  // namespace mfs::core
