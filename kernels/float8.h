// 8-bit floating point on the host, e4m3: a sign, four bits of exponent, three of fraction, no infinity. Round to nearest even;
// NaN stays NaN; what is too large becomes +-448, the largest number.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mfs::core {

struct Float8E4m3 {
  static constexpr float kLargest = 448;
  std::uint8_t bits = 0;

  Float8E4m3() = default;
  explicit Float8E4m3(float value) {
    const auto sign = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(value) >> 24 & 0x80u);
    const float magnitude = std::abs(value);
    std::uint32_t rest = 0x7fu;  // NaN
    if (magnitude >= kLargest) {
      rest = 0x7eu;
    } else if (magnitude < 0x1p-6f) {
      // Subnormal: multiples of 2^-9. Adding 2^14 gives a float's last bit that weight: the addition rounds as needed.
      rest = std::bit_cast<std::uint32_t>(magnitude + 0x1p14f) - std::bit_cast<std::uint32_t>(0x1p14f);
    } else if (magnitude == magnitude) {
      const auto u = std::bit_cast<std::uint32_t>(magnitude);
      rest = (u + 0x7ffffu + (u >> 20 & 1u) - (120u << 23)) >> 20;
    }
    bits = static_cast<std::uint8_t>(sign | rest);
  }
  explicit operator float() const {
    const std::uint32_t magnitude = bits & 0x7fu, sign = static_cast<std::uint32_t>(bits & 0x80u) << 24;
    float value = static_cast<float>(magnitude) * 0x1p-9f;
    if (magnitude >= 8) value = std::bit_cast<float>((magnitude << 20) + (120u << 23));
    if (magnitude == 0x7fu) value = std::bit_cast<float>(0x7fc00000u);
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
  }
};

}  // namespace mfs::core
