#include "kernels/cuda/conv_hopper_plan.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace mfs::core {
namespace {

// Clock cycles of an SM. Rates of multiplication are the data sheet's; the others fit what the kernels of a whole network took
// on an H100 (mfs_cuda_network_bench --steps, 2026-11-26).
constexpr double kMultipliesPerCycle = 4096;  // of one byte by another: dense int8 and fp8; f16 does half as many of two bytes
constexpr double kFewColumnsEfficiency = 0.62;  // 64 columns: wgmma waits for shared memory
constexpr double kL2BytesPerCycle = 3170;       // to all SMs together
constexpr double kArrivingBytesPerCycle = 64;   // into one SM's shared memory, multicast or not
constexpr double kFill = 4000;                  // launch, first loads
constexpr double kTileOverhead = 900;           // sums out of the registers, the pipeline's start of the next tile
constexpr double kClusterOverhead = 400;        // of each block of a cluster, which waits for the others
constexpr double kExchangeOverhead = 4500;      // partial sums: two handshakes
constexpr double kLateResidual = 1200;          // the panels of it that did not fit ahead

constexpr int kMostClusterBlocks = 4;  // with 8, many GPCs cannot use all of their SMs

// Powers of two whose product is a tile's pixels. Fewest tiles, then the squarest, whose halo is the smallest.
void choose_pixels(const Conv& conv, HopperGeometry& g) {
  const int stride = std::max(conv.stride, conv.joined.c > 0 ? conv.joined_stride : 1);
  std::int64_t fewest = 0;
  int least_skew = 0;
  for (int w = 1; w <= kHopperRows; w *= 2) {
    const int h = kHopperRows / w;
    if (w * stride > 256 || h * stride > 256) continue;  // the largest box
    const int tiles_x = (g.dst.w + w - 1) / w, tiles_y = (g.dst.h + h - 1) / h;
    const std::int64_t tiles = std::int64_t{tiles_x} * tiles_y;
    const int skew = std::abs(w - h);
    if (g.tile_w != 0 && (tiles > fewest || (tiles == fewest && skew > least_skew))) continue;
    g.tile_w = w, g.tile_h = h, g.tiles_x = tiles_x, g.tiles_y = tiles_y, fewest = tiles, least_skew = skew;
  }
}

int steps_of(int channels, int depth) { return (channels + depth - 1) / depth; }

// Of one tile, while so many blocks share L2.
double tile_cycles(const Conv& conv, const HopperGeometry& g, const HopperPlan& plan, double active_blocks) {
  const HopperTileModel& tile = kHopperTiles[plan.tile];
  const double l2 = std::min(kArrivingBytesPerCycle, kL2BytesPerCycle / active_blocks);
  const double a_bytes = kHopperRows * kHopperStepBytes, b_bytes = tile.columns * kHopperStepBytes;
  const double multiply = 1.0 * kHopperRows * tile.columns * kHopperStepBytes / kMultipliesPerCycle /
                          (tile.columns < 128 ? kFewColumnsEfficiency : 1);
  const double read = (a_bytes / plan.cluster_columns + b_bytes / plan.cluster_rows) / l2;
  const double step = std::max({multiply, read, (a_bytes + b_bytes) / kArrivingBytesPerCycle});
  const double steps = (g.steps + tile.splits - 1) / tile.splits;
  const double results = 1.0 * kHopperRows * tile.columns / tile.splits;
  const double panels = results * static_cast<double>(size_of(dst_dtype(conv)));
  const double copy = conv.copy_scale > 0 ? results : 0;  // bytes, as panels
  // A residual that does not fit ahead is waited for.
  const bool late = conv.residual && tile.columns / tile.splits > 64 * tile.buffers;
  double finish = (panels * (conv.residual ? 2 : 1) + copy) / l2 + (late ? kLateResidual : 0) + kTileOverhead;
  if (tile.splits > 1) finish += kExchangeOverhead + 4.0 * results * (tile.splits - 1) / l2;
  if (plan.cluster_blocks() > 1) finish += kClusterOverhead * plan.cluster_blocks();
  return steps * step + finish;
}

double estimate(const Conv& conv, const HopperGeometry& g, const HopperPlan& plan, const HopperRoom& room) {
  const std::int64_t clusters = hopper_clusters(g, plan), at_once = std::max(1, room.clusters(plan.cluster_blocks()));
  const auto cycles = [&](std::int64_t active) {
    return active == 0 ? 0 : tile_cycles(conv, g, plan, static_cast<double>(active * plan.cluster_blocks()));
  };
  return kFill + static_cast<double>(clusters / at_once) * cycles(at_once) + cycles(clusters % at_once);
}

// Whether the type has kernels with this tile, and no part of a split sum is empty.
bool can_use(const HopperTileModel& tile, DType dtype, int steps) {
  return hopper_has_tile(dtype == DType::kE4m3, tile) && (tile.splits - 1) * ((steps + tile.splits - 1) / tile.splits) < steps;
}

}  // namespace

std::string HopperPlan::text() const {
  const HopperTileModel& t = kHopperTiles[tile];
  std::string s = "hopper " + std::to_string(kHopperRows) + "x" + std::to_string(t.columns) + " s" + std::to_string(t.stages);
  if (t.splits > 1) s += ", split " + std::to_string(t.splits);
  if (cluster_rows * cluster_columns > 1)
    s += ", cluster " + std::to_string(cluster_rows) + "x" + std::to_string(cluster_columns);
  return s;
}

HopperGeometry hopper_geometry(const Conv& conv) {
  HopperGeometry g{.src = conv.src, .dst = conv.dst, .joined = conv.joined};
  g.flat = conv.kernel == 1 && conv.stride == 1 && conv.pad == 0 && (conv.joined.c == 0 || conv.joined_stride == 1) &&
           !(conv.sums && conv.dst.n > 1);
  if (g.flat) {
    const auto pixels = static_cast<int>(conv.dst.pixels());
    for (Shape* s : {&g.src, &g.dst, &g.joined}) *s = {1, 1, pixels, s->c};
    g.tile_h = 1, g.tile_w = kHopperRows, g.tiles_y = 1, g.tiles_x = (pixels + kHopperRows - 1) / kHopperRows;
  } else {
    choose_pixels(conv, g);
  }
  g.depth = kHopperStepBytes / static_cast<int>(size_of(conv.dtype));
  g.chunks = steps_of(conv.src.c, g.depth);
  g.src_steps = conv.kernel * conv.kernel * g.chunks;
  g.steps = g.src_steps + steps_of(conv.joined.c, g.depth);
  return g;
}

HopperGroups hopper_groups(const HopperGeometry& g, const HopperPlan& plan) {
  const auto groups = [](std::int64_t tiles, int size) { return (tiles + size - 1) / size; };
  return {groups(g.row_tiles(), plan.cluster_rows),
          groups(groups(g.dst.c, kHopperTiles[plan.tile].columns), plan.cluster_columns)};
}

bool hopper_takes(const Conv& c) {
  const auto fits = [](int channels, int pitch, DType type) {
    const int sixteen_bytes = 16 / static_cast<int>(size_of(type));
    return channels % sixteen_bytes == 0 && pitch % sixteen_bytes == 0;
  };
  const bool narrow = is_narrow(c.dtype) && c.wide == DType::kF16;
  if (c.dtype != DType::kF16 && c.dtype != DType::kBF16 && !narrow) return false;
  // Of u8 and s8, so that the sum is one of 32 bits.
  constexpr std::int64_t kMostProducts = (std::int64_t{1} << 31) / (255 * 127);
  if (c.dtype == DType::kU8 && std::int64_t{c.kernel} * c.kernel * c.src.c + c.joined.c >= kMostProducts) return false;
  return c.stride <= 8 && c.joined_stride <= 8 && fits(c.src.c, c.src_pitch, c.dtype) &&
         fits(c.joined.c, c.joined_pitch, c.dtype) && fits(c.dst.c, c.dst_pitch, dst_dtype(c)) &&
         (c.copy_scale == 0 || c.dst.c % 16 == 0) && c.residual_pitch % 8 == 0;
}

#if !MFS_HAVE_HOPPER
HopperRoom hopper_room(const Cuda& cuda) { return undivided_room(cuda.multiprocessors); }
#endif

std::vector<HopperPlan> hopper_plans(const Conv& conv, const HopperRoom& room) {
  return hopper_plans(conv, hopper_geometry(conv), room);
}

std::vector<HopperPlan> hopper_plans(const Conv& conv, const HopperGeometry& g, const HopperRoom& room) {
  std::vector<HopperPlan> plans;
  for (int t = 0; t < static_cast<int>(std::size(kHopperTiles)); ++t) {
    if (!can_use(kHopperTiles[t], conv.dtype, g.steps)) continue;
    const int column_tiles = (conv.dst.c + kHopperTiles[t].columns - 1) / kHopperTiles[t].columns;
    for (int rows = 1; rows <= kMostClusterBlocks && (rows == 1 || rows <= g.row_tiles()); rows *= 2) {
      for (int columns = 1; columns <= kMostClusterBlocks && columns <= column_tiles; columns *= 2) {
        HopperPlan plan{t, rows, columns};
        // The pixels that blocks fetch for each other are rows of the tile, or parts of its only one.
        const bool divides = g.tile_h == 1 || g.tile_h % columns == 0;
        if (plan.cluster_blocks() > kMostClusterBlocks || !divides) continue;
        plan.cycles = estimate(conv, g, plan, room);
        plans.push_back(plan);
      }
    }
  }
  std::ranges::stable_sort(plans, {}, &HopperPlan::cycles);
  return plans;
}

}  // namespace mfs::core
