#include "kernels/preprocess.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preprocess_geometry.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

// Triangle filter of one axis: output i is the sum over j < count[i] of weight[i * most + j] * source[first[i] + j].
struct Filter {
  int most = 0;
  int *first = nullptr, *count = nullptr;
  float* weight = nullptr;
};

Filter take_filter(int src, int dst, ScratchCutter& scratch) {
  Filter f;
  f.most = TriangleFilter(src, dst).most();
  f.first = scratch.take<int>(dst);
  f.count = scratch.take<int>(dst);
  f.weight = scratch.take<float>(std::int64_t{dst} * f.most);
  return f;
}

void fill_filter(const Filter& f, int src, int dst) {
  const TriangleFilter rule(src, dst);
  for (int i = 0; i < dst; ++i) {
    const FilterWindow window = window_at(rule, i);
    float* weight = f.weight + std::int64_t{i} * f.most;
    float total = 0;
    for (int j = 0; j < window.count; ++j) total += weight[j] = weight_at(rule, window, j);
    for (int j = 0; j < window.count; ++j) weight[j] /= total;
    f.first[i] = window.first, f.count[i] = window.count;
  }
}

// Weighted sum of `count` photo rows, `bytes` values wide. Blocks keep the sums in the first-level cache; four rows at a time.
MFS_MULTIVERSION void sum_rows(const std::uint8_t* src, std::int64_t stride, const float* weight, int count, int bytes,
                               float* out) {
  constexpr int kBlock = 1024;
  for (int begin = 0; begin < bytes; begin += kBlock) {
    const int size = std::min(kBlock, bytes - begin);
    float* sum = out + begin;
    const std::uint8_t* row = src + begin;
    std::fill_n(sum, size, 0.0f);
    int j = 0;
    for (; j + 4 <= count; j += 4, row += 4 * stride) {
      const std::uint8_t *r0 = row, *r1 = row + stride, *r2 = row + 2 * stride, *r3 = row + 3 * stride;
      const float w0 = weight[j], w1 = weight[j + 1], w2 = weight[j + 2], w3 = weight[j + 3];
      MFS_INDEPENDENT
      for (int i = 0; i < size; ++i) sum[i] += (w0 * r0[i] + w1 * r1[i]) + (w2 * r2[i] + w3 * r3[i]);
    }
    for (; j < count; ++j, row += stride) {
      const float w = weight[j];
      MFS_INDEPENDENT
      for (int i = 0; i < size; ++i) sum[i] += w * row[i];
    }
  }
}

// One output row. Four values are read per photo pixel whatever its format: `row` has room for three more at its end.
template <typename T>
MFS_MULTIVERSION void filter_row(const float* row, const Filter& f, int width, const Colour& colour, const float* guidance,
                                 T* dst, int channels, std::ptrdiff_t pitch) {
  for (int x = 0; x < width; ++x, dst += pitch) {
    const float* weight = f.weight + std::int64_t{x} * f.most;
    const float* src = row + std::int64_t{f.first[x]} * colour.step;
    float sum[4] = {};
    for (int j = 0; j < f.count[x]; ++j, src += colour.step) {
      for (int k = 0; k < 4; ++k) sum[k] += weight[j] * src[k];
    }
    for (int k = 0; k < 3; ++k) dst[k] = static_cast<T>(sum[colour.source[k]] * colour.gain[k] + colour.offset[k]);
    if (channels == 4) dst[3] = static_cast<T>(guidance != nullptr ? guidance[x] : 0.0f);
  }
}

// square[x] = min(square[x], squared distance to the tap); dy2 is its vertical part.
MFS_MULTIVERSION void nearest(double tap_x, double dy2, int width, double* square) {
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x) {
    const double dx = x - tap_x, d2 = dx * dx + dy2;
    square[x] = d2 < square[x] ? d2 : square[x];
  }
}

MFS_MULTIVERSION void gaussian(const double* square, double factor, float scale, int width, float* out) {
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x) out[x] = scale * fast_exp(static_cast<float>(square[x] * factor));
}

// Every kind falls with distance, so the best tap is the nearest one.
void draw_guidance_row(const Preprocess& op, int y, double* square, float* out) {
  const int width = op.dst.shape.w;
  const double x_ratio = static_cast<double>(width) / op.image.width;
  const double y_ratio = static_cast<double>(op.dst.shape.h) / op.image.height;
  std::fill_n(square, width, std::numeric_limits<double>::infinity());
  for (const Point& tap : op.taps) {
    const double dy = y - ((tap.y + 0.5) * y_ratio - 0.5);
    nearest((tap.x + 0.5) * x_ratio - 0.5, dy * dy, width, square);
  }
  const double parameter = op.guidance.parameter;
  const float scale = op.guidance.scale;
  switch (op.guidance.kind) {
    case Guidance::Kind::kGaussian:
    case Guidance::Kind::kGaussianFwhm:
      return gaussian(square, gaussian_factor(op.guidance), scale, width, out);
    case Guidance::Kind::kEuclidean:
      for (int x = 0; x < width; ++x) {
        out[x] = static_cast<float>(scale * (std::min(std::sqrt(square[x]), parameter) / parameter));
      }
      return;
    case Guidance::Kind::kDisk:
      for (int x = 0; x < width; ++x) out[x] = square[x] <= parameter * parameter ? scale : 0.0f;
      return;
    case Guidance::Kind::kNone:
      return;
  }
}

// Of one thread: a row of weighted photo rows, a row of squared distances, a row of the guidance map.
struct Rows {
  float* sums;
  double* square;
  float* guidance;
};

Rows take_rows(const Preprocess& op, ScratchCutter& scratch) {
  constexpr int kMostChannels = 4;
  float* sums = scratch.take<float>(std::int64_t{kMostChannels} * (op.image.width + 1));
  double* square = scratch.take<double>(op.dst.shape.w);
  return {sums, square, scratch.take<float>(op.dst.shape.w)};
}

struct Layout {
  Filter x, y;
  std::size_t shared_bytes, bytes_per_thread;
};

Layout lay_out(const Preprocess& op, std::byte* memory) {
  ScratchCutter shared(memory), own(nullptr);
  Layout l{};
  l.x = take_filter(op.image.width, op.dst.shape.w, shared);
  l.y = take_filter(op.image.height, op.dst.shape.h, shared);
  l.shared_bytes = shared.used();
  take_rows(op, own);
  l.bytes_per_thread = own.used();
  return l;
}

template <typename T>
void preprocess(const Cpu& cpu, const Preprocess& op, const Layout& l) {
  const Colour colour = colour_of(op);
  const int values = op.image.width * colour.step;
  const bool guided = op.guidance.kind != Guidance::Kind::kNone;
  parallel_ranges(cpu, op.dst.shape.h, [&](std::int64_t begin, std::int64_t end, int thread) {
    ScratchCutter own(op.scratch.data() + l.shared_bytes + static_cast<std::size_t>(thread) * l.bytes_per_thread);
    const Rows rows = take_rows(op, own);
    std::fill_n(rows.sums + values, 4, 0.0f);
    for (int y = static_cast<int>(begin); y < end; ++y) {
      sum_rows(op.image.row(l.y.first[y]), op.image.row_stride, l.y.weight + std::int64_t{y} * l.y.most, l.y.count[y], values,
               rows.sums);
      if (guided) draw_guidance_row(op, y, rows.square, rows.guidance);
      filter_row(rows.sums, l.x, op.dst.shape.w, colour, guided ? rows.guidance : nullptr, row_of<T>(op.dst, y), op.dst.shape.c,
                 op.dst.pitch);
    }
  });
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const Preprocess& op) {
  const Layout l = lay_out(op, nullptr);
  return l.shared_bytes + static_cast<std::size_t>(std::max(cpu.threads, 1)) * l.bytes_per_thread;
}

Status run(const Cpu& cpu, const Preprocess& op) {
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch("preprocess", op.scratch, scratch_bytes(cpu, op)); !s) return s;
  const Layout layout = lay_out(op, op.scratch.data());
  fill_filter(layout.x, op.image.width, op.dst.shape.w);
  fill_filter(layout.y, op.image.height, op.dst.shape.h);
  return with_element_type("preprocess", op.dst.dtype, [&](auto zero) { preprocess<decltype(zero)>(cpu, op, layout); });
}

}  // namespace mfs::core
