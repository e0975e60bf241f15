#include "kernels/pyramid_pool.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/pyramid_bins.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

// Does any bin of a level begin or end at this row (or column)?
bool is_edge(int at, int bins, int size) {
  const auto first = static_cast<int>((std::int64_t{at} * bins + size - 1) / size);  // the first bin that can begin here
  if (bin_begin(first, bins, size) == at) return true;
  return at > 0 && bin_end(static_cast<int>(std::int64_t{at} * bins / size) - 1, bins, size) == at;
}

bool is_edge(int at, const PyramidPool& op, int size) {
  for (const MutView& grid : op.grids) {
    if (is_edge(at, grid.shape.h, size)) return true;
  }
  return false;
}

// The edges of all levels along one axis cut it into cells; every bin of every level is a run of whole cells.
struct Axis {
  int cells = 0;
  int* edges = nullptr;  // cells + 1 positions: 0 first, size last

  int cell_at(int position) const { return static_cast<int>(std::lower_bound(edges, edges + cells, position) - edges); }
};

Axis cut(const PyramidPool& op, int size, ScratchCutter& scratch) {
  Axis axis;
  axis.edges = scratch.take<int>(size + 1);
  for (int at = 0; at < size; ++at) {
    if (!is_edge(at, op, size)) continue;
    if (axis.edges != nullptr) axis.edges[axis.cells] = at;
    ++axis.cells;
  }
  if (axis.edges != nullptr) axis.edges[axis.cells] = size;
  return axis;
}

struct Layout {
  Axis y, x;
  float* sums;  // y.cells x x.cells x channels, one image at a time
  std::size_t bytes;
};

Layout lay_out(const PyramidPool& op, std::byte* memory) {
  ScratchCutter scratch(memory);
  Layout l;
  l.y = cut(op, op.src.shape.h, scratch);
  l.x = cut(op, op.src.shape.w, scratch);
  l.sums = scratch.take<float>(std::int64_t{l.y.cells} * l.x.cells * op.src.shape.c);
  l.bytes = scratch.used();
  return l;
}

template <typename T>
MFS_MULTIVERSION void sum_pixels(const T* src, std::ptrdiff_t pitch, int count, int channels, float* acc) {
  add_pixels(src, pitch, count, channels, acc);
}

MFS_MULTIVERSION void multiply(float* values, int count, float factor) {
  for (int c = 0; c < count; ++c) values[c] *= factor;
}

// Channels [first, first + channels) of one image: source to cells in memory order, then cells to bins.
template <typename T>
void pool_channels(const PyramidPool& op, const Layout& l, int image, int first, int channels) {
  const Shape& s = op.src.shape;
  for (int cy = 0; cy < l.y.cells; ++cy) {
    float* strip = l.sums + std::ptrdiff_t{cy} * l.x.cells * s.c + first;
    for (int cx = 0; cx < l.x.cells; ++cx) std::fill_n(strip + std::ptrdiff_t{cx} * s.c, channels, 0.0f);
    for (int y = l.y.edges[cy]; y < l.y.edges[cy + 1]; ++y) {
      const T* row = row_of<T>(op.src, std::int64_t{image} * s.h + y) + first;
      for (int cx = 0; cx < l.x.cells; ++cx) {
        const int begin = l.x.edges[cx], end = l.x.edges[cx + 1];
        sum_pixels(row + std::ptrdiff_t{begin} * op.src.pitch, op.src.pitch, end - begin, channels,
                   strip + std::ptrdiff_t{cx} * s.c);
      }
    }
  }
  for (const MutView& grid : op.grids) {
    const int bins = grid.shape.h;
    for (int by = 0; by < bins; ++by) {
      const int y0 = bin_begin(by, bins, s.h), y1 = bin_end(by, bins, s.h);
      for (int bx = 0; bx < bins; ++bx) {
        const int x0 = bin_begin(bx, bins, s.w), x1 = bin_end(bx, bins, s.w);
        float* dst = row_of<float>(grid, std::int64_t{image} * bins + by) + std::ptrdiff_t{bx} * grid.pitch + first;
        std::fill_n(dst, channels, 0.0f);
        const int cx0 = l.x.cell_at(x0), cx1 = l.x.cell_at(x1);
        for (int cy = l.y.cell_at(y0); cy < l.y.cell_at(y1); ++cy) {
          const float* cell = l.sums + (std::ptrdiff_t{cy} * l.x.cells + cx0) * s.c + first;
          sum_pixels(cell, s.c, cx1 - cx0, channels, dst);
        }
        multiply(dst, channels, static_cast<float>(1.0 / (static_cast<double>(y1 - y0) * (x1 - x0))));
      }
    }
  }
}

}  // namespace

std::size_t scratch_bytes(const Cpu&, const PyramidPool& op) { return lay_out(op, nullptr).bytes; }

// Threads share the channels, not the pixels: no partial sums to combine, the same result for any number of threads.
Status run(const Cpu& cpu, const PyramidPool& op) {
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch("pyramid_pool", op.scratch, scratch_bytes(cpu, op)); !s) return s;
  const Layout layout = lay_out(op, op.scratch.data());
  constexpr int kBlock = 64;  // channels: whole cache lines of either element type
  const int channels = op.src.shape.c;
  return with_element_type("pyramid_pool", op.src.dtype, [&](auto zero) {
    parallel_ranges(cpu, (channels + kBlock - 1) / kBlock, [&](std::int64_t begin, std::int64_t end, int) {
      const int first = static_cast<int>(begin) * kBlock, last = std::min(static_cast<int>(end) * kBlock, channels);
      for (int image = 0; image < op.src.shape.n; ++image) {
        pool_channels<decltype(zero)>(op, layout, image, first, last - first);
      }
    });
  });
}

}  // namespace mfs::core
