#include "kernels/squeeze_excite.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

struct Scratch {
  float *sums, *means, *hidden, *gates;  // sums: of every thread
  std::size_t bytes;
};
Scratch cut(const Cpu& cpu, const SqueezeExcite& op, std::byte* base) {
  ScratchCutter c(base);
  const std::int64_t channels = std::int64_t{op.src.shape.n} * op.src.shape.c;
  Scratch s{};
  s.sums = c.take<float>(std::max(cpu.threads, 1) * channels);
  s.means = c.take<float>(channels);
  s.hidden = c.take<float>(std::int64_t{op.src.shape.n} * op.hidden);
  s.gates = c.take<float>(channels);
  s.bytes = c.used();
  return s;
}

template <typename T>
MFS_MULTIVERSION void sum_row(const T* src, std::ptrdiff_t pitch, int width, int channels, float* acc) {
  add_pixels(src, pitch, width, channels, acc);
}

MFS_MULTIVERSION void mean_of_parts(const float* parts, int count, std::ptrdiff_t step, float scale, int channels, float* dst) {
  std::fill_n(dst, channels, 0.0f);
  add_pixels(parts, step, count, channels, dst);
  for (int c = 0; c < channels; ++c) dst[c] *= scale;
}

template <typename T>
void average(const Cpu& cpu, const SqueezeExcite& op, const Scratch& scratch) {
  const Shape& s = op.src.shape;
  const int threads = std::max(cpu.threads, 1);
  const std::ptrdiff_t part = std::ptrdiff_t{s.n} * s.c;  // floats per thread
  std::fill_n(scratch.sums, threads * part, 0.0f);
  parallel_ranges(cpu, std::int64_t{s.n} * s.h, [&](std::int64_t begin, std::int64_t end, int thread) {
    float* sums = scratch.sums + thread * part;
    for (std::int64_t r = begin; r < end; ++r) sum_row(row_of<T>(op.src, r), op.src.pitch, s.w, s.c, sums + r / s.h * s.c);
  });
  const float scale = static_cast<float>(1.0 / (static_cast<double>(s.h) * s.w));
  for (int n = 0; n < s.n; ++n) {
    const std::ptrdiff_t image = std::ptrdiff_t{n} * s.c;
    mean_of_parts(scratch.sums + image, threads, part, scale, s.c, scratch.means + image);
  }
}

// Sixteen partial sums, since floating-point addition may not be reordered into vectors behind our back.
MFS_MULTIVERSION float dot(const float* a, const float* b, int count) {
  constexpr int kLanes = 16;
  float lanes[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (int l = 0; i < count; ++i, ++l) lanes[l] += a[i] * b[i];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// Too little work to wake threads for.
void find_gates(const SqueezeExcite& op, const Scratch& scratch) {
  const int channels = op.src.shape.c;
  for (std::ptrdiff_t n = 0; n < op.src.shape.n; ++n) {
    float* const hidden = scratch.hidden + n * op.hidden;
    for (int i = 0; i < op.hidden; ++i) {
      const float sum = dot(op.squeeze + std::ptrdiff_t{i} * channels, scratch.means + n * channels, channels);
      hidden[i] = std::max(op.squeeze_bias ? sum + op.squeeze_bias[i] : sum, 0.0f);
    }
    for (int c = 0; c < channels; ++c) {
      const float sum = dot(op.excite + std::ptrdiff_t{c} * op.hidden, hidden, op.hidden);
      scratch.gates[n * channels + c] = 1.0f / (1.0f + std::exp(-(op.excite_bias ? sum + op.excite_bias[c] : sum)));
    }
  }
}

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
void scale(const Cpu& cpu, const SqueezeExcite& op, const Scratch& scratch) {
  const Shape& s = op.src.shape;
  const auto row = op.residual ? (op.relu ? scale_row<true, true, T> : scale_row<true, false, T>)
                               : (op.relu ? scale_row<false, true, T> : scale_row<false, false, T>);
  const View& residual = op.residual ? op.residual : op.src;  // read by no one if absent
  parallel_ranges(cpu, std::int64_t{s.n} * s.h, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      row({row_of<T>(op.src, r), op.src.pitch}, {row_of<T>(residual, r), residual.pitch}, scratch.gates + r / s.h * s.c, s.w,
          s.c, {row_of<T>(op.dst, r), op.dst.pitch});
    }
  });
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const SqueezeExcite& op) { return cut(cpu, op, nullptr).bytes; }

Status run(const Cpu& cpu, const SqueezeExcite& op) {
  if (Status s = check(op); !s) return s;
  if (op.sums) return refuse("squeeze_excite", "the CPU engine sums src itself");
  if (Status s = check_scratch("squeeze_excite", op.scratch, scratch_bytes(cpu, op)); !s) return s;
  const Scratch scratch = cut(cpu, op, op.scratch.data());
  return with_element_type("squeeze_excite", op.src.dtype, [&](auto zero) {
    average<decltype(zero)>(cpu, op, scratch);
    find_gates(op, scratch);
    scale<decltype(zero)>(cpu, op, scratch);
  });
}

}  // namespace mfs::core
