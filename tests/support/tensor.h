// Memory for kernel tests: NaN wherever nobody has written, canaries on both sides and between the pixels of a slice.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <span>

#include "kernels/tensor_view.h"
#include "tests/support/memory.h"

namespace mfs::core {

inline doctest::String toString(DType t) { return name_of(t); }  // for CAPTURE

namespace test {

// 64-byte aligned, filled with 0xff: NaN as f32, f16 and bf16, 255 as a byte. Backends can reach it.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::size_t size);
  std::byte* data() { return memory_.get() + kGuard; }
  const std::byte* data() const { return memory_.get() + kGuard; }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() { return {data(), size_}; }
  bool canaries_intact() const;

 private:
  static constexpr std::size_t kGuard = 256;
  struct Free {
    void operator()(std::byte* p) const { release(p); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> memory_;
};

// NHWC tensor, f32, f16, bf16, u8 or e4m3; `pitch` as in View.
class Tensor {
 public:
  Tensor(Shape shape, DType dtype, int pitch = 0);

  MutView view() { return {bytes_.data(), dtype_, shape_, pitch_}; }
  View view() const { return {bytes_.data(), dtype_, shape_, pitch_}; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  float* floats() { return reinterpret_cast<float*>(bytes_.data()); }
  double at(int n, int y, int x, int c) const;
  void set(int n, int y, int x, int c, double value);
  bool canaries_intact() const;  // both sides, and the gaps of a pitch greater than c

 private:
  std::byte* element(int n, int y, int x, int c) const;
  Shape shape_;
  DType dtype_;
  int pitch_;
  mutable GuardedBytes bytes_;
};

// A reproducible number in [0, 1) for every (seed, index).
double uniform(std::uint64_t seed, std::uint64_t index);

// Integers in [-limit, limit]: sums of their products are exact in f32, so results must match bit for bit.
Tensor small_integers(Shape shape, DType dtype, int pitch, std::uint64_t seed, int limit = 3);
// Uniform in [-scale, scale), rounded to dtype.
Tensor random_values(Shape shape, DType dtype, int pitch, std::uint64_t seed, double scale = 1);

}  // namespace test
}  // namespace mfs::core
