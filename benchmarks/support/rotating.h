// Data of benchmarks: buffers that defeat the cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/tensor_view.h"

namespace mfs::bench {

// Photos of a web page, a screen and a camera.
struct PhotoSize {
  int width, height;
};
inline constexpr PhotoSize kPhotoSizes[] = {{640, 480}, {1920, 1080}, {4000, 3000}};

// The last cache before memory is walked through so many times over.
inline constexpr std::size_t kCacheMultiple = 3;

// Bytes that a device works on, filled from the host.
class Memory {
 public:
  Memory() = default;
  Memory(const core::Cpu&, std::size_t bytes);
  Memory(const core::Cuda&, std::size_t bytes);  // throws Error

  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() const { return {data_.get(), size_}; }
  void write(std::size_t at, const void* from, std::size_t bytes) const { write_(data_.get() + at, from, bytes); }

 private:
  std::shared_ptr<std::byte> data_;
  std::size_t size_ = 0;
  void (*write_)(void* to, const void* from, std::size_t bytes) = nullptr;
};

// Values from -1 to 1 (u8: 0 to 255); after a million they repeat.
std::vector<std::byte> random_elements(std::int64_t elements, core::DType dtype);

// As many copies of a buffer as together exceed the cache several times: next() walks through them, so that a memory-bound
// operation finds its data in memory, not in the cache. Random values, unless told otherwise.
class RotatingBuffer {
 public:
  template <typename Device>
  RotatingBuffer(const Device& device, std::int64_t elements, core::DType dtype)
      : stride_(stride_of(static_cast<std::size_t>(elements) * core::size_of(dtype))),
        copies_(copies_of(stride_)),
        memory_(device, stride_ * static_cast<std::size_t>(copies_)) {
    const std::vector<std::byte> values = random_elements(elements, dtype);
    fill(values);
  }
  // Copies of these bytes.
  template <typename Device>
  RotatingBuffer(const Device& device, std::span<const std::byte> content)
      : stride_(stride_of(content.size())),
        copies_(copies_of(stride_)),
        memory_(device, stride_ * static_cast<std::size_t>(copies_)) {
    fill(content);
  }
  std::byte* next();

 private:
  static std::size_t stride_of(std::size_t bytes) { return (std::max<std::size_t>(bytes, 1) + 255) / 256 * 256; }
  static int copies_of(std::size_t stride);
  void fill(std::span<const std::byte> content) const;

  std::size_t stride_;
  int copies_, at_ = 0;
  Memory memory_;
};

// A tensor in such a buffer.
class RotatingTensor {
 public:
  template <typename Device>
  RotatingTensor(const Device& device, core::Shape shape, core::DType dtype, int pitch = 0)
      : shape_(shape), dtype_(dtype), pitch_(pitch ? pitch : shape.c), buffer_(device, shape.pixels() * pitch_, dtype) {}
  core::MutView next() { return {buffer_.next(), dtype_, shape_, pitch_}; }

 private:
  core::Shape shape_;
  core::DType dtype_;
  int pitch_;
  RotatingBuffer buffer_;
};

}  // namespace mfs::bench
