// IEEE half precision on the host: storage type and conversions (round to nearest even; NaN stays NaN; what is too large
// becomes infinite).
#pragma once

#include <bit>
#include <cstdint>

namespace mfs::core {

struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  explicit Float16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
    constexpr std::uint32_t kInfinity = 0x7f800000u, kTooLarge = 0x477ff000u;  // 65520 rounds up to infinity
    constexpr std::uint32_t kSmallestNormal = 0x38800000u;                     // 2^-14
    std::uint32_t half;
    if (magnitude > kInfinity) {
      half = 0x7e00u;
    } else if (magnitude >= kTooLarge) {
      half = 0x7c00u;
    } else if (magnitude < kSmallestNormal) {
      // Adding 0.5 aligns the subnormals' last bit with that of a float in [0.5, 1): the addition rounds as needed.
      half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    } else {
      const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
      half = (rounded - 0x38000000u) >> 13;
    }
    bits = static_cast<std::uint16_t>(sign | half);
  }
  // Branch-free, and independent of the thread's flush-to-zero mode: the subtraction has normal operands and a normal (or zero)
  // result.
  explicit operator float() const {
    const std::uint32_t magnitude = bits & 0x7fffu, sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t normal = (magnitude << 13) + (112u << 23);
    const float subnormal = std::bit_cast<float>((113u << 23) + (magnitude << 13)) - std::bit_cast<float>(113u << 23);
    const std::uint32_t finite = magnitude < 0x0400u ? std::bit_cast<std::uint32_t>(subnormal) : normal;
    return std::bit_cast<float>(sign | (magnitude >= 0x7c00u ? finite + (112u << 23) : finite));
  }
};

}  // namespace mfs::core
