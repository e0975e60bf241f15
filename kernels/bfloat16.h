// bfloat16 on the host: storage type and conversions (round to nearest even; NaN stays NaN).
#pragma once

#include <bit>
#include <cstdint>

namespace mfs::core {

struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);
    const std::uint32_t quiet_nan = u | 0x400000u;
    bits = static_cast<std::uint16_t>((value != value ? quiet_nan : rounded) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

}  // namespace mfs::core
