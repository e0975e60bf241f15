#include "kernels/cuda/simt/types.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cuda/simt/emulation/elements.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {
namespace {

// Rounds to a format with `mantissa` explicit bits and exponents from `min_exponent`, to nearest even. Exact in double.
double round_to_format(double x, int mantissa, int min_exponent) {
  int exponent = 0;
  std::frexp(x, &exponent);  // x = f * 2^exponent, f in [0.5, 1)
  const int quantum = std::max(exponent - 1, min_exponent) - mantissa;
  return std::ldexp(std::nearbyint(std::ldexp(x, -quantum)), quantum);
}

// The bits of a value that is representable in the format.
unsigned encode(double magnitude, int mantissa, int min_exponent, int bias) {
  if (magnitude == 0) return 0;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  exponent -= 1;
  if (exponent < min_exponent) return static_cast<unsigned>(std::ldexp(magnitude, mantissa - min_exponent));
  const auto fraction = static_cast<unsigned>(std::ldexp(magnitude, mantissa - exponent)) - (1u << mantissa);
  return (static_cast<unsigned>(exponent + bias) << mantissa) + fraction;
}

double decode(unsigned bits, int mantissa, int bias) {
  const int exponent = static_cast<int>(bits >> mantissa);
  const unsigned fraction = bits & ((1u << mantissa) - 1);
  if (exponent == 0) return std::ldexp(fraction, 1 - bias - mantissa);
  return std::ldexp(fraction + (1u << mantissa), exponent - bias - mantissa);
}

std::array<float, 65536> half_table() {
  std::array<float, 65536> table{};
  for (unsigned i = 0; i < 65536; ++i) {
    const unsigned magnitude = i & 0x7fff;
    double value = decode(magnitude, 10, 15);
    if (magnitude == 0x7c00) value = INFINITY;
    if (magnitude > 0x7c00) value = NAN;
    table[i] = static_cast<float>(i & 0x8000 ? -value : value);
  }
  return table;
}

std::array<float, 256> e4m3_table() {
  std::array<float, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    const double value = (i & 0x7f) == 0x7f ? NAN : decode(i & 0x7f, 3, 7);
    table[i] = static_cast<float>(i & 0x80 ? -value : value);
  }
  return table;
}

const std::array<float, 65536>& halves() {
  static const std::array<float, 65536> table = half_table();
  return table;
}

}  // namespace

float to_float(Half x) { return halves()[x.bits]; }

float to_float(BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

float to_float(E4m3 x) {
  static const std::array<float, 256> table = e4m3_table();
  return table[x.bits];
}

Half to_half(float x) {
  const unsigned sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return {0x7fff};
  const double rounded = std::isinf(x) ? 1e9 : round_to_format(std::fabs(x), 10, -14);
  return {static_cast<uint16_t>(sign | (rounded > 65504 ? 0x7c00 : encode(rounded, 10, -14, 15)))};
}

BFloat16 to_bfloat16(float x) {
  if (std::isnan(x)) return {0x7fff};
  const auto bits = std::bit_cast<uint32_t>(x);
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

E4m3 to_e4m3(float x) {
  const unsigned sign = std::signbit(x) ? 0x80 : 0;
  if (std::isnan(x)) return {static_cast<uint8_t>(0x7f)};
  const double rounded = std::isinf(x) ? 1e9 : round_to_format(std::fabs(x), 3, -6);
  return {static_cast<uint8_t>(sign | (rounded > 448 ? 0x7e : encode(rounded, 3, -6, 7)))};
}

}  // namespace MFS_SIMT_BACKEND

namespace emulation {

template <class T>
void widen(const unsigned char* elements, size_t count, double* to) {
  const std::array<float, 65536>& table = halves();
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, elements + i * sizeof value, sizeof value);
    if constexpr (std::is_integral_v<T>) {
      to[i] = value;
    } else if constexpr (std::is_same_v<T, Half>) {
      to[i] = static_cast<double>(table[value.bits]);
    } else {
      to[i] = static_cast<double>(to_float(value));
    }
  }
}

template void widen<Half>(const unsigned char*, size_t, double*);
template void widen<BFloat16>(const unsigned char*, size_t, double*);
template void widen<E4m3>(const unsigned char*, size_t, double*);
template void widen<int8_t>(const unsigned char*, size_t, double*);
template void widen<uint8_t>(const unsigned char*, size_t, double*);

}  // namespace emulation
}  // namespace mfs::core::simt
