#include "kernels/pyramid_pool.h"

#include <algorithm>

#include "kernels/cuda/pixel_sums.h"
#include "kernels/pyramid_bins.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

// Edges and bins travel in the kernels' parameters (4 KB).
constexpr int kMaxBins = 64;  // along one axis, of all levels together
constexpr int kMaxCuts = 64;  // that only keep cells short
constexpr int kMaxCells = 2 * kMaxBins + kMaxCuts;
constexpr int kShortCell = 16;  // enough work for a block: 16 x 16 pixels of 128 channels

// The edges of the bins of all levels cut an axis into cells; every bin of every level is a run of whole cells.
struct Cells {
  int count = 0;
  int edges[kMaxCells + 1]{};  // 0 first, the size last

  int longest() const {
    int longest = 0;
    for (int i = 0; i < count; ++i) longest = std::max(longest, edges[i + 1] - edges[i]);
    return longest;
  }
};

// The cells [begin, end) of every bin along one axis, level after level.
struct Bins {
  uint16_t begin[kMaxBins], end[kMaxBins];
};

struct CellParams {
  int channels, pitch, h, w;
  uint32_t chunks;
  Cells y, x;
};

struct Level {
  float* grid;
  int pitch, bins, first;  // first: of its bins in Bins
};

struct BinParams {
  int channels, cells_y, cells_x;
  uint32_t chunks, bins;  // of all levels together, in two dimensions
  Cells y_cells, x_cells;
  Bins y_bins, x_bins;
  Level levels[kMaxPyramidLevels];
};

// sums[image][cell y][cell x][channel]: the only pass over the source.
template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kSumThreads, kSumBlocks)
    sum_cells_kernel(const T* src, float* sums, const MFS_GRID_CONSTANT CellParams p) {
  simt::grid_dependency_wait();
  const uint32_t block = simt::block_index().x, sum = block / p.chunks, row = sum / static_cast<uint32_t>(p.x.count);
  const uint32_t cell_x = sum % static_cast<uint32_t>(p.x.count), cell_y = row % static_cast<uint32_t>(p.y.count);
  const int64_t image = row / static_cast<uint32_t>(p.y.count);
  const int channel = static_cast<int>(block % p.chunks * simt::block_size().x + simt::thread_index().x) * kWidth;
  const int x = p.x.edges[cell_x], y = p.y.edges[cell_y], width = p.x.edges[cell_x + 1] - x;
  const T* from = src + ((image * p.h + y) * p.w + x) * p.pitch + channel;
  sum_rectangle<kWidth>(WholeBlock{}, from, {width, width * (p.y.edges[cell_y + 1] - y), p.pitch, int64_t{p.w} * p.pitch},
                        channel < p.channels, 1.0f, sums + int64_t{sum} * p.channels + channel);
}

template <int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kSumThreads, kSumBlocks)
    average_bins_kernel(const float* sums, const MFS_GRID_CONSTANT BinParams p) {
  simt::grid_dependency_wait();
  const uint32_t block = simt::block_index().x, bin_of_all = block / p.chunks;
  const int64_t image = bin_of_all / p.bins;
  const int channel = static_cast<int>(block % p.chunks * simt::block_size().x + simt::thread_index().x) * kWidth;
  int bin = static_cast<int>(bin_of_all % p.bins), level = 0;
  for (; bin >= p.levels[level].bins * p.levels[level].bins; ++level) bin -= p.levels[level].bins * p.levels[level].bins;
  const Level& l = p.levels[level];
  const int y = l.first + bin / l.bins, x = l.first + bin % l.bins;
  const int top = p.y_bins.begin[y], bottom = p.y_bins.end[y], left = p.x_bins.begin[x], right = p.x_bins.end[x];
  const int area = (p.y_cells.edges[bottom] - p.y_cells.edges[top]) * (p.x_cells.edges[right] - p.x_cells.edges[left]);
  const float* from = sums + ((image * p.cells_y + top) * p.cells_x + left) * p.channels + channel;
  sum_rectangle<kWidth>(
      WholeBlock{}, from, {right - left, (right - left) * (bottom - top), p.channels, int64_t{p.cells_x} * p.channels},
      channel < p.channels, 1.0f / static_cast<float>(area), l.grid + (image * l.bins * l.bins + bin) * l.pitch + channel);
}

int bins_of(const PyramidPool& op) {
  int bins = 0;
  for (const MutView& grid : op.grids) bins += std::min(grid.shape.h, kMaxBins + 1);
  return bins;
}

Cells cut(const PyramidPool& op, int size) {
  int edges[2 * kMaxBins + 2], count = 0;
  edges[count++] = 0;
  edges[count++] = size;
  for (const MutView& grid : op.grids) {
    for (int i = 0; i < grid.shape.h; ++i) {
      edges[count++] = bin_begin(i, grid.shape.h, size);
      edges[count++] = bin_end(i, grid.shape.h, size);
    }
  }
  std::sort(edges, edges + count);
  count = static_cast<int>(std::unique(edges, edges + count) - edges);
  Cells cells;
  const int longest = std::max(kShortCell, (size + kMaxCuts - 1) / kMaxCuts);
  for (int i = 0; i + 1 < count; ++i) {
    const int length = edges[i + 1] - edges[i], pieces = (length + longest - 1) / longest;
    for (int piece = 0; piece < pieces; ++piece) cells.edges[cells.count++] = edges[i] + bin_begin(piece, pieces, length);
  }
  cells.edges[cells.count] = size;
  return cells;
}

Bins locate(const PyramidPool& op, const Cells& cells) {
  const int size = cells.edges[cells.count];
  const auto cell_at = [&](int edge) {
    return static_cast<uint16_t>(std::lower_bound(cells.edges, cells.edges + cells.count, edge) - cells.edges);
  };
  Bins bins{};
  int at = 0;
  for (const MutView& grid : op.grids) {
    for (int i = 0; i < grid.shape.h; ++i, ++at) {
      bins.begin[at] = cell_at(bin_begin(i, grid.shape.h, size));
      bins.end[at] = cell_at(bin_end(i, grid.shape.h, size));
    }
  }
  return bins;
}

BinParams bin_params(const PyramidPool& op, const Cells& y, const Cells& x) {
  BinParams p{op.src.shape.c, y.count, x.count, 0, 0, y, x, locate(op, y), locate(op, x), {}};
  int first = 0;
  for (std::size_t i = 0; i < op.grids.size(); ++i) {
    const MutView& grid = op.grids[i];
    const int bins = grid.shape.h;
    p.levels[i] = {static_cast<float*>(grid.data), grid.pitch, bins, first};
    p.bins += static_cast<uint32_t>(bins * bins);
    first += bins;
  }
  return p;
}

Status check_bins(const PyramidPool& op) {
  if (bins_of(op) <= kMaxBins) return {};
  return refuse("pyramid_pool",
                "the GPU takes at most " + std::to_string(kMaxBins) + " bins along one side, of all grids together");
}

}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const PyramidPool& op) {
  if (bins_of(op) > kMaxBins) return 0;  // run() will say so
  const Shape& s = op.src.shape;
  return static_cast<std::size_t>(s.n) * cut(op, s.h).count * cut(op, s.w).count * s.c * sizeof(float);
}

Status run(const Cuda& cuda, const PyramidPool& op) {
  if (Status s = check(op); !s) return s;
  if (Status s = check_bins(op); !s) return s;
  if (Status s = check_scratch("pyramid_pool", op.scratch, scratch_bytes(cuda, op)); !s) return s;
  const Shape& s = op.src.shape;
  if (Status status = check_items("pyramid_pool", s.elements()); !status) return status;
  const Cells y = cut(op, s.h), x = cut(op, s.w);
  bool vectors = vectorises({op.src});
  for (const MutView& grid : op.grids) vectors = vectors && vectorises({grid});
  return with_device_type("pyramid_pool", op.src.dtype, vectors, [&]<class T, int kWidth>() -> Status {
    const unsigned columns = threads_of_block(s.c / kWidth, kWidth == 1 ? 32 : 16);
    const uint32_t chunks = channel_chunks(s.c / kWidth, columns);
    auto* sums = reinterpret_cast<float*>(op.scratch.data());
    const CellParams cells{s.c, op.src.pitch, s.h, s.w, chunks, y, x};
    Status status = simt::launch(
        stream_of(cuda),
        sum_blocks("pyramid_pool", std::int64_t{s.n} * y.count * x.count * chunks, columns, y.longest() * x.longest(), kWidth),
        sum_cells_kernel<T, kWidth>, static_cast<const T*>(op.src.data), sums, cells);
    if (!status) return status;
    BinParams bins = bin_params(op, y, x);
    bins.chunks = chunks;
    return simt::launch(
        stream_of(cuda),
        sum_blocks("pyramid_pool, bins", std::int64_t{s.n} * bins.bins * chunks, columns, y.count * x.count, kWidth),
        average_bins_kernel<kWidth>, static_cast<const float*>(sums), bins);
  });
}

}  // namespace mfs::core
