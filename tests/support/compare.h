// Comparison with a double-precision reference: every element has its own bound, and a NaN is never close to anything.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <ostream>

#include "kernels/bfloat16.h"
#include "kernels/float16.h"
#include "kernels/float8.h"
#include "tests/support/tensor.h"

namespace mfs::core::test {

inline constexpr double kEps = 0x1p-24;  // unit roundoff of f32

// Largest error of storing a number of this magnitude. f16 and e4m3 have subnormals within reach, and an end.
inline double rounding(DType t, double magnitude) {
  if (t == DType::kF16) return std::max(std::abs(magnitude) * 0x1p-11, 0x1p-25);
  if (t == DType::kU8) return 0.5;
  if (t == DType::kE4m3) return std::max(std::abs(magnitude) * 0x1p-4, 0x1p-10);
  return std::abs(magnitude) * (t == DType::kF32 ? kEps : 0x1p-8);
}

// The number that is stored for an exact f32 value.
inline double stored(DType t, double value) {
  const auto f = static_cast<float>(value);
  if (t == DType::kF16) return static_cast<float>(Float16(f));
  if (t == DType::kE4m3) return static_cast<float>(Float8E4m3(f));
  return t == DType::kF32 ? f : static_cast<float>(BFloat16(f));
}

struct Expected {
  double value = 0, bound = 0;
};

struct Diff {
  bool finite = true;
  double worst = -1;  // largest error in units of its bound; then where and what it was
  std::array<int, 4> at{};
  double actual = 0;
  Expected expected;

  explicit operator bool() const { return finite && worst >= 0 && worst <= 1; }

  void add(double value, const Expected& e, int n, int y, int x, int c) {
    finite = finite && std::isfinite(value);
    const double error = std::abs(value - e.value);
    double ratio = std::numeric_limits<double>::infinity();  // unless the error is a number that has a bound
    if (error == 0) ratio = 0;
    if (error > 0 && e.bound > 0) ratio = error / e.bound;
    if (ratio > worst) worst = ratio, at = {n, y, x, c}, actual = value, expected = e;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Diff& d) {
  out << "worst error / bound " << d.worst << " at [" << d.at[0] << ", " << d.at[1] << ", " << d.at[2] << ", " << d.at[3]
      << "]: ";
  return out << d.actual << ", expected " << d.expected.value << " +- " << d.expected.bound
             << (d.finite ? "" : "; not all finite");
}

// expected(n, y, x, c) -> Expected
template <typename Reference>
Diff compare(const Tensor& actual, const Reference& expected) {
  Diff d;
  const Shape& s = actual.shape();
  for (int n = 0; n < s.n; ++n) {
    for (int y = 0; y < s.h; ++y) {
      for (int x = 0; x < s.w; ++x) {
        for (int c = 0; c < s.c; ++c) d.add(actual.at(n, y, x, c), expected(n, y, x, c), n, y, x, c);
      }
    }
  }
  return d;
}

}  // namespace mfs::core::test
