// Element types of the CPU kernels: typed rows of a view, and the step from run-time dtype to template.
#pragma once

#include <cstddef>

#include "kernels/bfloat16.h"
#include "kernels/check.h"
#include "kernels/tensor_view.h"

#define MFS_INLINE [[gnu::always_inline]] inline  // helpers of MFS_MULTIVERSION loops must land inside every version

// Before a loop: no iteration reads what another one writes, even where an output is one of the inputs.
#if defined(__clang__)
#define MFS_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define MFS_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace mfs::core {

// Row `r` counts through all images: r = image * h + y.
template <typename T>
const T* row_of(const View& v, std::int64_t r) {
  return static_cast<const T*>(v.data) + r * v.shape.w * v.pitch;
}
template <typename T>
T* row_of(const MutView& v, std::int64_t r) {
  return static_cast<T*>(v.data) + r * v.shape.w * v.pitch;
}

// body(T{}) with T = float or BFloat16; check() has refused everything else but f16.
template <typename Body>
Status with_element_type(const char* operation, DType dtype, const Body& body) {
  if (dtype == DType::kF16) return refuse_f16_on_cpu(operation);
  if (dtype == DType::kF32) {
    body(float{});
  } else {
    body(BFloat16{});
  }
  return {};
}

// acc[c] += the sum of `count` neighbouring pixels; four at a time, for less traffic on acc and fewer roundings in a chain.
template <typename T>
MFS_INLINE void add_pixels(const T* src, std::ptrdiff_t pitch, int count, int channels, float* acc) {
  int i = 0;
  for (; i + 4 <= count; i += 4, src += 4 * pitch) {
    const T *p0 = src, *p1 = src + pitch, *p2 = src + 2 * pitch, *p3 = src + 3 * pitch;
    MFS_INDEPENDENT
    for (int c = 0; c < channels; ++c) {
      acc[c] +=
          (static_cast<float>(p0[c]) + static_cast<float>(p1[c])) + (static_cast<float>(p2[c]) + static_cast<float>(p3[c]));
    }
  }
  for (; i < count; ++i, src += pitch) {
    MFS_INDEPENDENT
    for (int c = 0; c < channels; ++c) acc[c] += static_cast<float>(src[c]);
  }
}

}  // namespace mfs::core
