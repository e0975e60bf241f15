#include "kernels/guided_mask.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pixels.h"
#include "kernels/cpu/row_pair.h"
#include "kernels/mask_decision.h"
#include "kernels/plane_fit.h"
#include "kernels/resize_bilinear.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

constexpr int kPlanes = 4;

// One grid row to the photo's width, its four planes `step` floats apart.
void expand(const float* row, const int* lo, const float* t, int grid_width, int width, float* dst, std::ptrdiff_t step) {
  for (int x = 0; x < width; ++x) {
    const float *a = row + std::ptrdiff_t{kPlanes} * lo[x],
                *b = row + std::ptrdiff_t{kPlanes} * std::min(lo[x] + 1, grid_width - 1);
    for (int c = 0; c < kPlanes; ++c) dst[c * step + x] = lerp(a[c], b[c], t[x]);
  }
}

// Planes between the expanded rows a and b, at the pixels of a piece.
template <bool kProbability, bool kMask>
MFS_MULTIVERSION void finish_piece(const float* a, const float* b, std::ptrdiff_t step, float t, PixelFormat format,
                                   const std::uint8_t* photo, int n, float threshold, float* probability, std::uint8_t* mask) {
  PixelPlanes px;
  load_pixels(format, photo, n, px);
  MFS_INDEPENDENT
  for (int x = 0; x < n; ++x) {
    const float value =
        guided_probability(lerp(a[x], b[x], t), lerp(a[step + x], b[step + x], t), lerp(a[2 * step + x], b[2 * step + x], t),
                           lerp(a[3 * step + x], b[3 * step + x], t), px.r[x], px.g[x], px.b[x]);
    if constexpr (kProbability) probability[x] = value;
    if constexpr (kMask) mask[x] = value > threshold ? 255 : 0;
  }
}

using FinishPiece = void (*)(const float*, const float*, std::ptrdiff_t, float, PixelFormat, const std::uint8_t*, int, float,
                             float*, std::uint8_t*);

FinishPiece finish_piece_for(const GuidedMask& op) {
  if (op.probability == nullptr) return finish_piece<false, true>;
  return op.mask == nullptr ? finish_piece<true, false> : finish_piece<true, true>;
}

// Horizontal positions, and for every thread the two grid rows around the current photo row, expanded to the photo's width.
struct Layout {
  int* lo;
  float *t, *rows;
  std::ptrdiff_t step;  // floats between the planes of an expanded row
  std::size_t bytes;
};

Layout lay_out(const Cpu& cpu, const GuidedMask& op, std::byte* memory) {
  ScratchCutter scratch(memory);
  Layout l{};
  l.lo = scratch.take<int>(op.image.width);
  l.t = scratch.take<float>(op.image.width);
  l.step = (std::ptrdiff_t{op.image.width} + 15) / 16 * 16;
  l.rows = scratch.take<float>(2 * kPlanes * l.step * std::max(cpu.threads, 1));
  l.bytes = scratch.used();
  return l;
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const GuidedMask& op) { return lay_out(cpu, op, nullptr).bytes; }

Status run(const Cpu& cpu, const GuidedMask& op) {
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch("guided_mask", op.scratch, scratch_bytes(cpu, op)); !s) return s;
  const Layout l = lay_out(cpu, op, op.scratch.data());
  const int grid_height = op.planes.shape.h, grid_width = op.planes.shape.w, width = op.image.width, height = op.image.height;
  for (int x = 0; x < width; ++x) {
    const Lerp at = lerp_at(x, grid_width, width, false);
    l.lo[x] = at.lo, l.t[x] = at.t;
  }
  const FinishPiece finish = finish_piece_for(op);
  const int channels = channels_of(op.image.format);

  parallel_ranges(cpu, height, [&](std::int64_t begin, std::int64_t end, int thread) {
    RowPair rows(l.rows + 2 * thread * kPlanes * l.step, l.rows + (2 * thread + 1) * kPlanes * l.step);
    for (int y = static_cast<int>(begin); y < end; ++y) {
      const Lerp at = lerp_at(y, grid_height, height, false);
      rows.move_to(
          at, [&](int row, float* to) { expand(row_of<float>(op.planes, row), l.lo, l.t, grid_width, width, to, l.step); });
      auto* const probability =
          reinterpret_cast<float*>(reinterpret_cast<std::byte*>(op.probability) + y * op.probability_stride);
      for (int x = 0; x < width; x += kPiece) {
        finish(rows.lo() + x, rows.hi() + x, l.step, at.t, op.image.format, op.image.row(y) + std::int64_t{x} * channels,
               std::min(kPiece, width - x), op.threshold, op.probability == nullptr ? nullptr : probability + x,
               op.mask == nullptr ? nullptr : op.mask + y * op.mask_stride + x);
      }
    }
  });
  return {};
}

}  // namespace mfs::core
