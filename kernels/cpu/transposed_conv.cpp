#include "kernels/transposed_conv.h"

#include <algorithm>

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

// The pixels of src and the taps that reach one pixel of dst along one axis: taps first, first + stride, ..., each from the
// pixel before the previous one's.
struct Reach {
  int tap, pixel, count;
};
Reach reach_of(int at, int size, const TransposedConv& op) {
  int tap = (at + op.pad) % op.stride, pixel = (at + op.pad) / op.stride;
  if (pixel >= size) tap += (pixel - size + 1) * op.stride, pixel = size - 1;
  const int taps = tap < op.kernel ? (op.kernel - 1 - tap) / op.stride + 1 : 0;
  return {tap, pixel, std::min(taps, pixel + 1)};
}

// One pixel of dst: what reaches it, with steps in elements.
template <typename T>
struct Gather {
  const T* src;          // the pixel of the first taps
  const float* weights;  // of the first taps
  int rows, columns, cin, cout;
  std::ptrdiff_t src_row, src_pixel, weights_row, weights_tap;
};

// kLanes channels of dst at once, kept in registers over all taps.
template <int kLanes, typename T, typename D>
MFS_INLINE void sum_of_lanes(const Gather<T>& g, int channel, const T* residual, D* dst) {
  float sum[kLanes];
  for (int l = 0; l < kLanes; ++l) sum[l] = residual ? static_cast<float>(residual[channel + l]) : 0.0f;
  for (int y = 0; y < g.rows; ++y) {
    for (int x = 0; x < g.columns; ++x) {
      const T* src = g.src - y * g.src_row - x * g.src_pixel;
      const float* weights = g.weights + y * g.weights_row + x * g.weights_tap + channel;
      for (int i = 0; i < g.cin; ++i, weights += g.cout) {
        const float v = static_cast<float>(src[i]);
        for (int l = 0; l < kLanes; ++l) sum[l] += v * weights[l];
      }
    }
  }
  for (int l = 0; l < kLanes; ++l) dst[channel + l] = static_cast<D>(sum[l]);
}

template <typename T, typename D>
MFS_MULTIVERSION void sum_of_taps(const Gather<T>& g, const T* residual, D* dst) {
  int c = 0;
  for (; c + 16 <= g.cout; c += 16) sum_of_lanes<16>(g, c, residual, dst);
  for (; c < g.cout; ++c) sum_of_lanes<1>(g, c, residual, dst);
}

template <typename T, typename D>
void enlarge(const Cpu& cpu, const TransposedConv& op) {
  const Shape &in = op.src.shape, &out = op.dst.shape;
  const std::ptrdiff_t tap = std::ptrdiff_t{in.c} * out.c, row = tap * op.kernel;
  constexpr std::int64_t kWorthThreads = 1 << 18;  // multiply-adds; FCN's maps of one score stay far below
  const Cpu used{in.pixels() * row * op.kernel < kWorthThreads ? 1 : cpu.threads};
  parallel_ranges(used, std::int64_t{out.n} * out.h, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Reach y = reach_of(static_cast<int>(r % out.h), in.h, op);
      const T* src = row_of<T>(op.src, r / out.h * in.h + y.pixel);
      const T* residual = op.residual ? row_of<T>(op.residual, r) : nullptr;
      D* dst = row_of<D>(op.dst, r);
      for (int i = 0; i < out.w; ++i, dst += op.dst.pitch) {
        const Reach x = reach_of(i, in.w, op);
        const Gather<T> gather{src + std::ptrdiff_t{x.pixel} * op.src.pitch,
                               op.weights + y.tap * row + x.tap * tap,
                               y.count,
                               x.count,
                               in.c,
                               out.c,
                               std::ptrdiff_t{in.w} * op.src.pitch,
                               op.src.pitch,
                               row * op.stride,
                               tap * op.stride};
        sum_of_taps(gather, residual ? residual + std::ptrdiff_t{i} * op.residual.pitch : nullptr, dst);
      }
    }
  });
}

}  // namespace

Status run(const Cpu& cpu, const TransposedConv& op) {
  if (Status s = check(op); !s) return s;
  return with_element_type("transposed_conv", op.src.dtype, [&](auto zero) {
    using T = decltype(zero);
    op.dst.dtype == DType::kF32 ? enlarge<T, float>(cpu, op) : enlarge<T, T>(cpu, op);
  });
}

}  // namespace mfs::core
