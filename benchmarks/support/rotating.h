// Data of benchmarks: buffers that defeat the cache.
#pragma once

#include <cstdint>

#include "kernels/tensor_view.h"
#include "runtime/aligned_buffer.h"

namespace mfs::bench {

// Photos of a web page, a screen and a camera.
struct PhotoSize {
  int width, height;
};
inline constexpr PhotoSize kPhotoSizes[] = {{640, 480}, {1920, 1080}, {4000, 3000}};

// As many copies of a buffer as together exceed the L3 several times: next() walks through them, so that a memory-bound
// operation finds its data in memory, not in the cache. Filled with values from -1 to 1 (bytes: 0 to 255).
class RotatingBuffer {
 public:
  RotatingBuffer(std::int64_t elements, core::DType dtype);
  std::byte* next();

 private:
  std::size_t stride_;
  int copies_, at_ = 0;
  core::AlignedBuffer memory_;
};

// A tensor in such a buffer.
class RotatingTensor {
 public:
  RotatingTensor(core::Shape shape, core::DType dtype, int pitch = 0);
  core::MutView next() { return {buffer_.next(), dtype_, shape_, pitch_}; }

 private:
  core::Shape shape_;
  core::DType dtype_;
  int pitch_;
  RotatingBuffer buffer_;
};

}  // namespace mfs::bench
