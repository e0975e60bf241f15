#include "kernels/cuda/conv_hopper_head_plan.h"

#include <algorithm>

namespace mfs::core {

// As for other convolutions, fewest tiles; then those with the smallest tables, which are wide and low.
HopperHeadTiles hopper_head_tiles(const ConvHead& head) {
  HopperHeadTiles tiles{hopper_geometry(head.conv), prior_nodes(head.conv.dst.w, head.bins, head.align_corners)};
  HopperGeometry& g = tiles.geometry;
  const Conv& c = head.conv;
  g.src = c.src, g.dst = c.dst, g.joined = c.joined, g.flat = false;
  std::int64_t fewest = 0;
  for (int w = 1; w <= kHopperRows; w *= 2) {
    const int h = kHopperRows / w, tiles_x = (c.dst.w + w - 1) / w, tiles_y = (c.dst.h + h - 1) / h;
    const int rows = std::min(h, c.dst.h), nodes = most_nodes(tiles.columns, w);
    const std::int64_t count = std::int64_t{tiles_x} * tiles_y;
    const bool better = w == 1 || count < fewest || (count == fewest && rows * nodes <= tiles.rows * tiles.row_nodes);
    if (!better) continue;
    fewest = count, tiles.rows = rows, tiles.row_nodes = nodes;
    g.tile_w = w, g.tile_h = h, g.tiles_x = tiles_x, g.tiles_y = tiles_y;
  }
  return tiles;
}

std::vector<HopperPlan> hopper_head_plans(const ConvHead& head, const HopperHeadTiles& tiles, const HopperRoom& room) {
  std::vector<HopperPlan> plans = hopper_plans(head.conv, tiles.geometry, room);
  std::erase_if(plans, [&](const HopperPlan& plan) {
    return tiles.rows * tiles.row_nodes > hopper_table_entries(kHopperTiles[plan.tile]);
  });
  return plans;
}

}  // namespace mfs::core
