#include "benchmarks/support/rotating.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "benchmarks/support/bench.h"
#include "kernels/bfloat16.h"

namespace mfs::bench {
namespace {

constexpr std::size_t kL3Multiple = 3;
constexpr int kMostCopies = 4096;

void fill(std::byte* data, std::int64_t elements, DType dtype) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (std::int64_t i = 0; i < elements; ++i) {
    if (dtype == DType::kF32) {
      reinterpret_cast<float*>(data)[i] = uniform(random);
    } else if (dtype == DType::kBF16) {
      reinterpret_cast<BFloat16*>(data)[i] = BFloat16(uniform(random));
    } else {
      data[i] = static_cast<std::byte>(random() >> 8);
    }
  }
}

}  // namespace

RotatingBuffer::RotatingBuffer(std::int64_t elements, DType dtype)
    : stride_((static_cast<std::size_t>(elements) * size_of(dtype) + 63) / 64 * 64),
      copies_(static_cast<int>(std::clamp<std::size_t>(kL3Multiple * settings().card.l3_bytes / stride_ + 1, 1, kMostCopies))),
      memory_(stride_ * static_cast<std::size_t>(copies_)) {
  fill(memory_.data(), elements, dtype);
  for (int i = 1; i < copies_; ++i) std::memcpy(memory_.data() + stride_ * i, memory_.data(), stride_);
}

std::byte* RotatingBuffer::next() {
  at_ = (at_ + 1) % copies_;
  return memory_.data() + stride_ * static_cast<std::size_t>(at_);
}

RotatingTensor::RotatingTensor(Shape shape, DType dtype, int pitch)
    : shape_(shape), dtype_(dtype), pitch_(pitch ? pitch : shape.c), buffer_(shape.pixels() * pitch_, dtype) {}

}  // namespace mfs::bench
