#include "tests/support/tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/bfloat16.h"
#include "kernels/float16.h"
#include "kernels/float8.h"

namespace mfs::core::test {
namespace {

constexpr std::byte kCanary{0xa5}, kUnwritten{0xff};

bool all(const std::byte* begin, std::size_t count, std::byte value) {
  return std::all_of(begin, begin + count, [=](std::byte b) { return b == value; });
}

template <typename Value>
Tensor generate(Shape shape, DType dtype, int pitch, const Value& value) {
  Tensor t(shape, dtype, pitch);
  std::uint64_t index = 0;
  for (int n = 0; n < shape.n; ++n) {
    for (int y = 0; y < shape.h; ++y) {
      for (int x = 0; x < shape.w; ++x) {
        for (int c = 0; c < shape.c; ++c) t.set(n, y, x, c, value(index++));
      }
    }
  }
  return t;
}

}  // namespace

GuardedBytes::GuardedBytes(std::size_t size) : size_(size), memory_(static_cast<std::byte*>(allocate(size + 2 * kGuard))) {
  std::fill_n(memory_.get(), kGuard, kCanary);
  std::fill_n(data(), size, kUnwritten);
  std::fill_n(data() + size, kGuard, kCanary);
}

bool GuardedBytes::canaries_intact() const {
  return all(memory_.get(), kGuard, kCanary) && all(data() + size_, kGuard, kCanary);
}

Tensor::Tensor(Shape shape, DType dtype, int pitch)
    : shape_(shape),
      dtype_(dtype),
      pitch_(pitch == 0 ? shape.c : pitch),
      bytes_(static_cast<std::size_t>(shape.pixels() * pitch_) * size_of(dtype)) {}

std::byte* Tensor::element(int n, int y, int x, int c) const {
  const std::int64_t pixel = (std::int64_t{n} * shape_.h + y) * shape_.w + x;
  return bytes_.data() + static_cast<std::size_t>(pixel * pitch_ + c) * size_of(dtype_);
}

double Tensor::at(int n, int y, int x, int c) const {
  if (dtype_ == DType::kF32) {
    float v;
    std::memcpy(&v, element(n, y, x, c), sizeof v);
    return v;
  }
  if (dtype_ == DType::kU8) return std::to_integer<int>(*element(n, y, x, c));
  if (dtype_ == DType::kE4m3) return static_cast<float>(std::bit_cast<Float8E4m3>(*element(n, y, x, c)));
  std::uint16_t bits;
  std::memcpy(&bits, element(n, y, x, c), sizeof bits);
  return dtype_ == DType::kF16 ? static_cast<float>(std::bit_cast<Float16>(bits))
                               : static_cast<float>(std::bit_cast<BFloat16>(bits));
}

void Tensor::set(int n, int y, int x, int c, double value) {
  if (dtype_ == DType::kU8) {
    *element(n, y, x, c) = static_cast<std::byte>(value);
    return;
  }
  const auto f = static_cast<float>(value);
  if (dtype_ == DType::kE4m3) {
    *element(n, y, x, c) = std::byte{Float8E4m3(f).bits};
    return;
  }
  const std::uint16_t bits = dtype_ == DType::kF16 ? Float16(f).bits : BFloat16(f).bits;
  std::memcpy(element(n, y, x, c), dtype_ == DType::kF32 ? static_cast<const void*>(&f) : &bits, size_of(dtype_));
}

bool Tensor::canaries_intact() const {
  const std::size_t gap = static_cast<std::size_t>(pitch_ - shape_.c) * size_of(dtype_);
  for (std::int64_t p = 0; p < shape_.pixels(); ++p) {
    const std::size_t end = static_cast<std::size_t>(p * pitch_ + shape_.c) * size_of(dtype_);
    if (!all(bytes_.data() + end, gap, kUnwritten)) return false;
  }
  return bytes_.canaries_intact();
}

double uniform(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = (seed << 40) + index * 0x9e3779b97f4a7c15u + 0x9e3779b97f4a7c15u;  // splitmix64
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

Tensor small_integers(Shape shape, DType dtype, int pitch, std::uint64_t seed, int limit) {
  return generate(shape, dtype, pitch, [=](std::uint64_t i) { return std::floor(uniform(seed, i) * (2 * limit + 1)) - limit; });
}

Tensor random_values(Shape shape, DType dtype, int pitch, std::uint64_t seed, double scale) {
  return generate(shape, dtype, pitch, [=](std::uint64_t i) { return (2 * uniform(seed, i) - 1) * scale; });
}

}  // namespace mfs::core::test
