#include "kernels/channel_scale.h"

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

template <typename T>
struct Pixels {
  T* first;
  std::ptrdiff_t pitch;
};

// dst may be src or residual.
template <bool kResidual, bool kRelu, typename T>
MFS_MULTIVERSION void scale_row(Pixels<const T> src, Pixels<const T> residual, const float* gate, int width, int channels,
                                Pixels<T> dst) {
  for (int x = 0; x < width; ++x) {
    const T* in = src.first + x * src.pitch;
    const T* add = residual.first + x * residual.pitch;
    T* out = dst.first + x * dst.pitch;
    MFS_INDEPENDENT
    for (int c = 0; c < channels; ++c) {
      float v = static_cast<float>(in[c]) * gate[c];
      if constexpr (kResidual) v += static_cast<float>(add[c]);
      if constexpr (kRelu) v = v < 0 ? 0.0f : v;
      out[c] = static_cast<T>(v);
    }
  }
}

template <typename T>
void scale(const Cpu& cpu, const ChannelScale& op) {
  const Shape& s = op.src.shape;
  const auto row = op.residual ? (op.relu ? scale_row<true, true, T> : scale_row<true, false, T>)
                               : (op.relu ? scale_row<false, true, T> : scale_row<false, false, T>);
  const View& residual = op.residual ? op.residual : op.src;  // read by no one if absent
  parallel_ranges(cpu, std::int64_t{s.n} * s.h, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      row({row_of<T>(op.src, r), op.src.pitch}, {row_of<T>(residual, r), residual.pitch}, row_of<float>(op.gate, r / s.h), s.w,
          s.c, {row_of<T>(op.dst, r), op.dst.pitch});
    }
  });
}

}  // namespace

Status run(const Cpu& cpu, const ChannelScale& op) {
  if (Status s = check(op); !s) return s;
  return with_element_type("channel_scale", op.src.dtype, [&](auto zero) { scale<decltype(zero)>(cpu, op); });
}

}  // namespace mfs::core
