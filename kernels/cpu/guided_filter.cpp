// Window sums one axis after the other. A thread keeps the last 2 radius + 1 rows in a ring, each summed across; a row of
// windows is the sum of the ring.
#include "kernels/guided_filter.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/plane_fit.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

constexpr int kProducts = 13;  // r g b v, rr rg rb gg gb bb, rv gv bv
constexpr int kPlanes = 4;

// Rows of `width` floats, `step` apart.
struct Rows {
  float* data;
  std::ptrdiff_t step;
  float* operator[](std::ptrdiff_t i) const { return data + i * step; }
};

MFS_MULTIVERSION void multiply_row(const float* guide, const float* value, int width, Rows to) {
  float* const p = to.data;
  const std::ptrdiff_t s = to.step;
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x) {
    const float r = guide[4 * x], g = guide[4 * x + 1], b = guide[4 * x + 2], v = value[x];
    p[x] = r, p[s + x] = g, p[2 * s + x] = b, p[3 * s + x] = v;
    p[4 * s + x] = r * r, p[5 * s + x] = r * g, p[6 * s + x] = r * b;
    p[7 * s + x] = g * g, p[8 * s + x] = g * b, p[9 * s + x] = b * b;
    p[10 * s + x] = r * v, p[11 * s + x] = g * v, p[12 * s + x] = b * v;
  }
}

MFS_MULTIVERSION void split_row(const float* planes, int width, Rows to) {
  float* const p = to.data;
  const std::ptrdiff_t s = to.step;
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x)
    p[x] = planes[4 * x], p[s + x] = planes[4 * x + 1], p[2 * s + x] = planes[4 * x + 2], p[3 * s + x] = planes[4 * x + 3];
}

// sum[x] = src[x - radius] + .. + src[x + radius]; around the row, src has `radius` zeros on each side.
MFS_MULTIVERSION void sum_across(const float* src, int width, int radius, float* sum) {
  std::fill_n(sum, width, 0.0f);
  for (int k = -radius; k <= radius; ++k) {
    const float* const from = src + k;
    MFS_INDEPENDENT
    for (int x = 0; x < width; ++x) sum[x] += from[x];
  }
}

MFS_MULTIVERSION void add_row(const float* src, int width, float* sum) {
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x) sum[x] += src[x];
}

// Of window sums (kProducts rows): the affine functions, interleaved. One over a window's pixels is share x of_row.
MFS_MULTIVERSION void fit_row(Rows sums, const float* share, float of_row, float epsilon, int width, float* planes) {
  const float* const p = sums.data;
  const std::ptrdiff_t s = sums.step;
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x) {
    const float n = share[x] * of_row, r = n * p[x], g = n * p[s + x], b = n * p[2 * s + x], v = n * p[3 * s + x];
    const WindowStatistics w{{r, g, b, v},
                             {n * p[4 * s + x] - r * r, n * p[5 * s + x] - r * g, n * p[6 * s + x] - r * b,
                              n * p[7 * s + x] - g * g, n * p[8 * s + x] - g * b, n * p[9 * s + x] - b * b},
                             {n * p[10 * s + x] - r * v, n * p[11 * s + x] - g * v, n * p[12 * s + x] - b * v}};
    float a[4];
    fit_plane(w, epsilon, a);
    planes[4 * x] = a[0], planes[4 * x + 1] = a[1], planes[4 * x + 2] = a[2], planes[4 * x + 3] = a[3];
  }
}

MFS_MULTIVERSION void average_row(Rows sums, const float* share, float of_row, int width, float* planes) {
  const float* const p = sums.data;
  const std::ptrdiff_t s = sums.step;
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x)
    for (int c = 0; c < kPlanes; ++c) planes[4 * x + c] = share[x] * of_row * p[c * s + x];
}

// Of one thread, for `count` values a pixel: rows with zeros around them, the ring, the sums over it, a pixel's share of a
// window's row.
struct Workplace {
  Rows padded, sums;
  float *ring, *share;
};

Workplace take_workplace(int width, int radius, ScratchCutter& scratch) {
  const std::ptrdiff_t step = (std::ptrdiff_t{width} + 15) / 16 * 16, padded_step = step + 32;
  static_assert(kMostFilterRadius <= 16);
  Workplace w{};
  w.padded = {scratch.take<float>(kProducts * padded_step), padded_step};
  if (w.padded.data) w.padded.data += 16;
  w.sums = {scratch.take<float>(kProducts * step), step};
  w.ring = scratch.take<float>((2 * radius + 1) * kProducts * step);
  w.share = scratch.take<float>(width);
  return w;
}

int window_length(int at, int radius, int size) { return std::min(at + radius, size - 1) - std::max(at - radius, 0) + 1; }

// fill(y, rows) writes the kCount values of row y; use(y, sums, of_row) gets their window sums and a row's
// share of them. Rows begin to end.
template <int kCount, typename Fill, typename Use>
void for_windows(const Workplace& w, int width, int height, int radius, int begin, int end, const Fill& fill, const Use& use) {
  const int rows = 2 * radius + 1;
  std::fill_n(w.padded.data - 16, kProducts * w.padded.step, 0.0f);
  const auto ring_row = [&](int y) { return Rows{w.ring + y % rows * kCount * w.sums.step, w.sums.step}; };
  for (int x = 0; x < width; ++x) w.share[x] = 1.0f / static_cast<float>(window_length(x, radius, width));
  int next = std::max(begin - radius, 0);
  for (int y = begin; y < end; ++y) {
    const int first = std::max(y - radius, 0), last = std::min(y + radius, height - 1);
    for (; next <= last; ++next) {
      fill(next, w.padded);
      for (int i = 0; i < kCount; ++i) sum_across(w.padded[i], width, radius, ring_row(next)[i]);
    }
    for (int i = 0; i < kCount; ++i) {
      std::copy_n(ring_row(first)[i], width, w.sums[i]);
      for (int k = first + 1; k <= last; ++k) add_row(ring_row(k)[i], width, w.sums[i]);
    }
    use(y, w.sums, 1.0f / static_cast<float>(last - first + 1));
  }
}

struct Layout {
  float* planes;
  std::size_t shared_bytes, bytes_per_thread;
};

Layout lay_out(const GuidedFilter& op, std::byte* memory) {
  ScratchCutter shared(memory), own(nullptr);
  float* const planes = shared.take<float>(op.guide.shape.elements());
  take_workplace(op.guide.shape.w, op.radius, own);
  return {planes, shared.used(), own.used()};
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const GuidedFilter& op) {
  const Layout l = lay_out(op, nullptr);
  return l.shared_bytes + static_cast<std::size_t>(std::max(cpu.threads, 1)) * l.bytes_per_thread;
}

Status run(const Cpu& cpu, const GuidedFilter& op) {
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch("guided_filter", op.scratch, scratch_bytes(cpu, op)); !s) return s;
  const Layout l = lay_out(op, op.scratch.data());
  const int h = op.guide.shape.h, w = op.guide.shape.w;
  const auto row_step = std::ptrdiff_t{kPlanes} * w;
  const auto workplace = [&](int thread) {
    ScratchCutter own(op.scratch.data() + l.shared_bytes + static_cast<std::size_t>(thread) * l.bytes_per_thread);
    return take_workplace(w, op.radius, own);
  };
  parallel_ranges(cpu, h, [&](std::int64_t begin, std::int64_t end, int thread) {
    const Workplace place = workplace(thread);
    for_windows<kProducts>(
        place, w, h, op.radius, static_cast<int>(begin), static_cast<int>(end),
        [&](int y, Rows to) { multiply_row(row_of<float>(op.guide, y), row_of<float>(op.value, y), w, to); },
        [&](int y, Rows sums, float of_row) { fit_row(sums, place.share, of_row, op.epsilon, w, l.planes + y * row_step); });
  });
  parallel_ranges(cpu, h, [&](std::int64_t begin, std::int64_t end, int thread) {
    const Workplace place = workplace(thread);
    for_windows<kPlanes>(
        place, w, h, op.radius, static_cast<int>(begin), static_cast<int>(end),
        [&](int y, Rows to) { split_row(l.planes + y * row_step, w, to); },
        [&](int y, Rows sums, float of_row) { average_row(sums, place.share, of_row, w, row_of<float>(op.dst, y)); });
  });
  return {};
}

}  // namespace mfs::core
