#include "benchmarks/support/rotating.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "benchmarks/support/bench.h"
#include "kernels/bfloat16.h"
#include "kernels/float16.h"
#include "kernels/float8.h"
#include "runtime/aligned_buffer.h"

namespace mfs::bench {
namespace {

constexpr int kMostCopies = 4096;

}  // namespace

std::vector<std::byte> random_elements(std::int64_t elements, DType dtype) {
  constexpr std::int64_t kPeriod = 1 << 20;  // making them all would take longer than many a benchmark
  std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(dtype));
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const std::int64_t fresh = std::min(elements, kPeriod);
  for (std::int64_t i = 0; i < fresh; ++i) {
    if (dtype == DType::kF32) {
      reinterpret_cast<float*>(bytes.data())[i] = uniform(random);
    } else if (dtype == DType::kBF16) {
      reinterpret_cast<BFloat16*>(bytes.data())[i] = BFloat16(uniform(random));
    } else if (dtype == DType::kF16) {
      reinterpret_cast<Float16*>(bytes.data())[i] = Float16(uniform(random));
    } else if (dtype == DType::kE4m3) {
      reinterpret_cast<Float8E4m3*>(bytes.data())[i] = Float8E4m3(uniform(random));
    } else {
      bytes[static_cast<std::size_t>(i)] = static_cast<std::byte>(random() >> 8);
    }
  }
  const std::size_t period = static_cast<std::size_t>(fresh) * size_of(dtype);
  for (std::size_t at = period; at < bytes.size(); at += period)
    std::memcpy(bytes.data() + at, bytes.data(), std::min(period, bytes.size() - at));
  return bytes;
}

Memory::Memory(const Cpu&, std::size_t bytes) : size_(bytes) {
  auto buffer = std::make_shared<AlignedBuffer>(bytes);
  data_ = {buffer, buffer->data()};
  write_ = [](void* to, const void* from, std::size_t n) { std::memcpy(to, from, n); };
}

int RotatingBuffer::copies_of(std::size_t stride) {
  const std::size_t wanted = kCacheMultiple * settings().card.cache_bytes / stride + 1;
  return static_cast<int>(std::clamp<std::size_t>(wanted, 1, kMostCopies));
}

void RotatingBuffer::fill(std::span<const std::byte> content) const {
  for (int i = 0; i < copies_; ++i) memory_.write(stride_ * static_cast<std::size_t>(i), content.data(), content.size());
}

std::byte* RotatingBuffer::next() {
  at_ = (at_ + 1) % copies_;
  return memory_.data() + stride_ * static_cast<std::size_t>(at_);
}

}  // namespace mfs::bench
