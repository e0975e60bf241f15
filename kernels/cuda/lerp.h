// lerp_at() of kernels/resize_bilinear.h in integers: f64 is slow on most GPUs, and f32 would miss corners.
#pragma once

#include "kernels/cuda/element.h"
#include "kernels/resize_bilinear.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

// Output index i lies at (scale * i + shift) / divisor, between 0 and last.
struct LerpAxis {
  int scale, shift, divisor, last;
  float inverse;  // 1 / divisor
};

inline LerpAxis lerp_axis(int src_size, int dst_size, bool align_corners) {
  const int last = src_size - 1;
  if (!align_corners) return {2 * src_size, src_size - dst_size, 2 * dst_size, last, 0.5f / static_cast<float>(dst_size)};
  if (dst_size == 1) return {0, 0, 1, last, 1.0f};
  return {last, 0, dst_size - 1, last, 1.0f / static_cast<float>(dst_size - 1)};
}

inline Status check_lerp(const char* operation, int src_size, int dst_size) {
  constexpr int kMost = 1 << 20;  // see lerp_on()
  const bool fits = src_size <= kMost && dst_size <= kMost &&
                    std::int64_t{2} * src_size * dst_size <= std::numeric_limits<std::int32_t>::max();
  if (fits) return {};
  return refuse(operation, "from " + std::to_string(src_size) + " to " + std::to_string(dst_size) +
                               " pixels is too large for 32-bit positions");
}

MFS_DEVICE Lerp lerp_on(const LerpAxis& axis, int i) {
  int position = axis.scale * i + axis.shift;
  if (position < 0) position = 0;
  if (position > axis.last * axis.divisor) position = axis.last * axis.divisor;
  // The quotient is below 2^20, so its f32 estimate is off by at most one. Two divisions would cost more than a blend.
  int lo = static_cast<int>(static_cast<float>(position) * axis.inverse), rest = position - lo * axis.divisor;
  if (rest < 0) --lo, rest += axis.divisor;
  if (rest >= axis.divisor) ++lo, rest -= axis.divisor;
  // The fused remainder takes the error of `inverse` out again: t is rest / divisor within one rounding.
  const auto numerator = static_cast<float>(rest), rough = numerator * axis.inverse;
  const float t = fmaf(fmaf(-rough, static_cast<float>(axis.divisor), numerator), axis.inverse, rough);
  return {lo, lo < axis.last ? lo + 1 : lo, t};
}

// A thread's walk down a column: the two rows of a grid around it, at the column's position, kept as long as they are of use.
template <class Value>
struct HeldRows {
  Value upper{}, lower{};
  int held = -2;  // row that is in `upper`

  // expanded(row) gives its value at the column.
  template <class Expanded>
  MFS_DEVICE void move_to(const Lerp& row, const Expanded& expanded) {
    if (row.lo == held) return;
    upper = row.lo == held + 1 ? lower : expanded(row.lo);
    lower = expanded(row.hi);
    held = row.lo;
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
