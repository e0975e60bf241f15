// Which tile of the Hopper family a convolution can use, and how blocks of a cluster can share the work: a cost model. What was
// measured comes before it (conv_hopper_tuned.h).
#pragma once

#include <string>
#include <vector>

#include "kernels/conv.h"
#include "kernels/cuda/conv_hopper_room.h"

namespace mfs::core {

inline constexpr int kHopperRows = 128, kHopperStepBytes = 128;  // of every tile: output pixels, and of K in one step
inline constexpr int kHopperFp8Steps = 4;                        // of K whose products fp8 sums in the tensor cores

// A kernel of the family. Splits: blocks of a cluster that share one tile's sum. Buffers: how many panels of 64 (or fewer)
// output channels of a warpgroup fit into shared memory; with as many as a tile has, all of a residual is loaded ahead.
struct HopperTileModel {
  int columns, splits, stages, buffers;

  bool operator==(const HopperTileModel&) const = default;
};
inline constexpr HopperTileModel kHopperTiles[] = {
    {256, 1, 4, 2}, {256, 1, 3, 4}, {128, 1, 6, 2}, {64, 1, 8, 2}, {128, 2, 5, 1}, {128, 4, 5, 1},
};

constexpr int hopper_own_columns(const HopperTileModel& t) { return t.columns / t.splits; }  // that a block finishes
constexpr int hopper_stage_bytes(const HopperTileModel& t) { return (kHopperRows + t.columns) * kHopperStepBytes; }

struct HopperPlan {
  int tile = 0;  // index into kHopperTiles
  // Blocks of a cluster with the same output channels and different pixels, which share weights; and the other way around.
  int cluster_rows = 1, cluster_columns = 1;
  double cycles = 0;  // the model's estimate

  int cluster_blocks() const { return kHopperTiles[tile].splits * cluster_rows * cluster_columns; }
  std::string text() const;  // "hopper 128x128 s5, split 2, cluster 1x2"
};

// The problem as the family's kernels see it. One tile is tile_h x tile_w pixels of an image.
struct HopperGeometry {
  Shape src, dst, joined;  // flat: all pixels in one row
  bool flat = false;       // a matrix product: 1x1, stride 1; with sums of one image, as a tile's are
  int tile_h = 0, tile_w = 0, tiles_x = 0, tiles_y = 0;
  int depth = 0;                             // channels of a step
  int chunks = 0, src_steps = 0, steps = 0;  // steps of K: per tap, of src, with joined

  std::int64_t row_tiles() const { return std::int64_t{tiles_x} * tiles_y * dst.n; }
};
HopperGeometry hopper_geometry(const Conv& conv);

// Tiles of pixels and of output channels, in groups of one for each block of a cluster.
struct HopperGroups {
  std::int64_t rows = 0, columns = 0;
};
HopperGroups hopper_groups(const HopperGeometry& tiles, const HopperPlan& plan);
inline std::int64_t hopper_clusters(const HopperGeometry& tiles, const HopperPlan& plan) {
  const HopperGroups groups = hopper_groups(tiles, plan);
  return groups.rows * groups.columns;
}

// Whether a type's kernels include a tile: fp8 keeps two sets of sums in registers.
constexpr bool hopper_has_tile(bool fp8, const HopperTileModel& tile) { return !fp8 || tile.columns <= 128; }

// Whether the family can do it: f16, bf16, int8 or fp8, the channels of everything a multiple of 16 bytes.
bool hopper_takes(const Conv& conv);

// All plans, by the model the best first. The second for other tiles than hopper_geometry()'s.
std::vector<HopperPlan> hopper_plans(const Conv& conv, const HopperRoom& room);
std::vector<HopperPlan> hopper_plans(const Conv& conv, const HopperGeometry& tiles, const HopperRoom& room);

}  // namespace mfs::core
