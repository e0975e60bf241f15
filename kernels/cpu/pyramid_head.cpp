#include "kernels/pyramid_head.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/resize_bilinear.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

// out = (1 - t) * a + t * b
MFS_MULTIVERSION void interpolate(const float* a, const float* b, float t, int count, float* out) {
  const float s = 1 - t;
  MFS_INDEPENDENT
  for (int i = 0; i < count; ++i) out[i] = s * a[i] + t * b[i];
}

MFS_MULTIVERSION void add_interpolated(const float* a, const float* b, float t, int count, float* out) {
  const float s = 1 - t;
  MFS_INDEPENDENT
  for (int i = 0; i < count; ++i) out[i] += s * a[i] + t * b[i];
}

template <int kLanes, typename T>
MFS_INLINE void add_products(const T* features, const float* prior, const float* weights, float* lanes) {
  for (int l = 0; l < kLanes; ++l) {
    const float v = static_cast<float>(features[l]) + prior[l];
    lanes[l] += weights[l] * (v < 0 ? 0.0f : v);
  }
}

// sum of weights * relu(features + prior), in 32 partial sums: additions are never reordered behind our back.
template <typename T>
MFS_MULTIVERSION float weigh(const T* features, const float* prior, const float* weights, int channels) {
  constexpr int kLanes = 32;
  float lanes[kLanes] = {};
  int c = 0;
  for (; c + kLanes <= channels; c += kLanes) add_products<kLanes>(features + c, prior + c, weights + c, lanes);
  for (int l = 0; c < channels; ++c, ++l) add_products<1>(features + c, prior + c, weights + c, lanes + l);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// Of one thread: the priors interpolated to the current row, one after the other, and their sum at the current pixel.
struct Buffers {
  float *rows, *pixel;
};

std::int64_t floats_in_rows(const PyramidHead& op) {
  std::int64_t columns = 0;
  for (const View& prior : op.priors) columns += prior.shape.w;
  return columns * op.features.shape.c;
}

Buffers take_buffers(const PyramidHead& op, ScratchCutter& scratch) {
  float* rows = scratch.take<float>(floats_in_rows(op));
  return {rows, scratch.take<float>(op.features.shape.c)};
}

template <typename T>
void compute_row(const PyramidHead& op, std::int64_t r, const Buffers& buffers) {
  const Shape& s = op.features.shape;
  const int y = static_cast<int>(r % s.h);
  float* rows = buffers.rows;
  for (const View& prior : op.priors) {
    const int bins = prior.shape.h, count = bins * s.c;
    const Lerp at = lerp_at(y, bins, s.h, op.align_corners);
    const float* first = row_of<float>(prior, r / s.h * bins);
    interpolate(first + std::ptrdiff_t{at.lo} * count, first + std::ptrdiff_t{at.hi} * count, at.t, count, rows);
    rows += count;
  }
  const T* features = row_of<T>(op.features, r);
  float* logit = row_of<float>(op.logit, r);
  for (int x = 0; x < s.w; ++x, features += op.features.pitch) {
    std::fill_n(buffers.pixel, s.c, 0.0f);
    rows = buffers.rows;
    for (const View& prior : op.priors) {
      const Lerp at = lerp_at(x, prior.shape.w, s.w, op.align_corners);
      add_interpolated(rows + std::ptrdiff_t{at.lo} * s.c, rows + std::ptrdiff_t{at.hi} * s.c, at.t, s.c, buffers.pixel);
      rows += std::ptrdiff_t{prior.shape.w} * s.c;
    }
    logit[x] = op.bias + weigh(features, buffers.pixel, op.weights, s.c);
  }
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const PyramidHead& op) {
  ScratchCutter scratch(nullptr);
  take_buffers(op, scratch);
  return scratch.used() * static_cast<std::size_t>(std::max(cpu.threads, 1));
}

Status run(const Cpu& cpu, const PyramidHead& op) {
  if (Status s = check(op); !s) return s;
  const std::size_t needed = scratch_bytes(cpu, op), per_thread = needed / static_cast<std::size_t>(std::max(cpu.threads, 1));
  if (Status s = check_scratch("pyramid_head", op.scratch, needed); !s) return s;
  return with_element_type("pyramid_head", op.features.dtype, [&](auto zero) {
    const std::int64_t rows = std::int64_t{op.features.shape.n} * op.features.shape.h;
    parallel_ranges(cpu, rows, [&](std::int64_t begin, std::int64_t end, int thread) {
      ScratchCutter scratch(op.scratch.data() + static_cast<std::size_t>(thread) * per_thread);
      const Buffers buffers = take_buffers(op, scratch);
      for (std::int64_t r = begin; r < end; ++r) compute_row<decltype(zero)>(op, r, buffers);
    });
  });
}

}  // namespace mfs::core
