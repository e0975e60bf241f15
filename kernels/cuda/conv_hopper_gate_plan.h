// Tiles of the Hopper family for convolutions before squeeze-and-excitation (kernels/conv_gate.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/conv_gate.h"
#include "kernels/cuda/conv_hopper_plan.h"

namespace mfs::core {

inline constexpr int kHopperGateWidth = 8;  // channels that a thread sums at once

// A tile's share of the residual, which takes the place of stages.
constexpr int hopper_residual_bytes(const HopperTileModel& t) { return kHopperRows * hopper_own_columns(t) * 2; }
// Whether there are kernels: all of a tile can stay staged. None with sums split in four, to have fewer.
constexpr bool hopper_has_gate(const HopperTileModel& t) {
  return hopper_own_columns(t) >= 64 && hopper_own_columns(t) <= 64 * t.buffers;
}

// Blocks of a cluster that share the reading of the sums: all, if their tiles are always of one image.
inline int hopper_gate_sharers(const HopperGeometry& g, const HopperPlan& plan) {
  return g.tiles_x * g.tiles_y % plan.cluster_rows == 0 ? plan.cluster_blocks() : 1;
}

// Those of hopper_plans() whose clusters all run at once, the best first.
std::vector<HopperPlan> hopper_gate_plans(const ConvGate& gate, const HopperRoom& room);

// In builds with a target 9.0 (MFS_HAVE_HOPPER), for one of these plans.
std::shared_ptr<const PreparedConvGate> prepare_hopper_gate(const ConvGate& gate, const HopperPlan& plan,
                                                            const ConvParameters& parameters, const std::string& name,
                                                            PackCache& cache);

}  // namespace mfs::core
