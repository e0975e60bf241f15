#include "kernels/resize_bilinear.h"

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

template <typename T>
struct Corners {
  const T *top_left, *top_right, *bottom_left, *bottom_right;
  float tx, ty;
};

template <typename T>
MFS_MULTIVERSION void blend(const Corners<T>& p, int channels, T* dst) {
  const float right = p.tx, left = 1 - right, bottom = p.ty, top = 1 - bottom;
  MFS_INDEPENDENT
  for (int c = 0; c < channels; ++c) {
    const float above = left * static_cast<float>(p.top_left[c]) + right * static_cast<float>(p.top_right[c]);
    const float below = left * static_cast<float>(p.bottom_left[c]) + right * static_cast<float>(p.bottom_right[c]);
    dst[c] = static_cast<T>(top * above + bottom * below);
  }
}

template <typename T>
void resize(const Cpu& cpu, const ResizeBilinear& op) {
  const Shape &in = op.src.shape, &out = op.dst.shape;
  parallel_ranges(cpu, std::int64_t{out.n} * out.h, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Lerp y = lerp_at(static_cast<int>(r % out.h), in.h, out.h, op.align_corners);
      const T* top = row_of<T>(op.src, r / out.h * in.h + y.lo);
      const T* bottom = row_of<T>(op.src, r / out.h * in.h + y.hi);
      T* dst = row_of<T>(op.dst, r);
      for (int i = 0; i < out.w; ++i, dst += op.dst.pitch) {
        const Lerp x = lerp_at(i, in.w, out.w, op.align_corners);
        const std::ptrdiff_t lo = std::ptrdiff_t{x.lo} * op.src.pitch, hi = std::ptrdiff_t{x.hi} * op.src.pitch;
        blend(Corners<T>{top + lo, top + hi, bottom + lo, bottom + hi, x.t, y.t}, in.c, dst);
      }
    }
  });
}

}  // namespace

Status run(const Cpu& cpu, const ResizeBilinear& op) {
  if (Status s = check(op); !s) return s;
  return with_element_type("resize_bilinear", op.src.dtype, [&](auto zero) { resize<decltype(zero)>(cpu, op); });
}

}  // namespace mfs::core
