// exp and logistic function that vectorise: no table, no branch, no library call.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/cpu/element.h"

namespace mfs::core {

// Relative error below 4e-7 for |x| <= 87; beyond, the value at the end of that range. NaN stays NaN.
// x = n ln2 + r with |r| <= ln2 / 2; Taylor series of degree 6 in r (remainder 1.2e-7), times 2^n by way of the exponent bits.
// The clamp works on the bits: as a float comparison the compiler makes a branch of it, and the loop is not vectorised.
MFS_INLINE float fast_exp(float argument) {
  const auto bits = std::bit_cast<std::uint32_t>(argument);
  const std::uint32_t size = bits & 0x7fffffffu, clamped = std::min(size, std::bit_cast<std::uint32_t>(87.0f));
  const float x = std::bit_cast<float>((bits & 0x80000000u) | (size > 0x7f800000u ? size : clamped));
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low mantissa bits
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln2 in two parts; n times the first is exact
  float p = 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;
  return p * std::bit_cast<float>(exponent);
}

// Absolute error below 3e-7 everywhere; 0 <= result <= 1.
MFS_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

}  // namespace mfs::core
