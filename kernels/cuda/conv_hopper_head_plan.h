// Tiles of the Hopper family for the end of the pyramid head (kernels/conv_head.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/conv_head.h"
#include "kernels/cuda/conv_hopper_plan.h"
#include "kernels/cuda/prior_nodes.h"

namespace mfs::core {

// Beside a tile, a block has a table of what the priors add up to: at the nodes of each of its rows, for the channels that it
// finishes. It lies where other convolutions have their panels.
// Floats between entries. Neighbouring entries lie in different banks.
constexpr int hopper_table_stride(const HopperTileModel& t) { return hopper_own_columns(t) + 8; }
constexpr int hopper_table_entries(const HopperTileModel& t) {
  const int own = hopper_own_columns(t), panels = kHopperRows * t.buffers * (own < 64 ? own : 64) * 2;
  return panels / (4 * hopper_table_stride(t));
}

struct HopperHeadTiles {
  HopperGeometry geometry;
  PriorNodes columns;           // of the nodes: places along a row
  int rows = 0, row_nodes = 0;  // of a table, at most
};
HopperHeadTiles hopper_head_tiles(const ConvHead& head);

// Those of hopper_plans() whose blocks have room for the table, the best first. The model takes the end of a tile for one that
// stores a map.
std::vector<HopperPlan> hopper_head_plans(const ConvHead& head, const HopperHeadTiles& tiles, const HopperRoom& room);

// Every block that shares a tile has a part of the logit.
inline int hopper_logit_parts(const ConvHead& head, const HopperPlan& plan) {
  const int own = hopper_own_columns(kHopperTiles[plan.tile]);
  return (head.conv.dst.c + own - 1) / own;
}

// In builds with a target 9.0 (MFS_HAVE_HOPPER): logit_parts() is above 0, and the plan is one of these.
std::shared_ptr<const PreparedConvHead> prepare_hopper_head(const ConvHead& head, const HopperPlan& plan,
                                                            const ConvParameters& parameters, const LogitParameters& logit,
                                                            const std::string& name, PackCache& cache);

}  // namespace mfs::core
