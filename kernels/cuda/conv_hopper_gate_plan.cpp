#include "kernels/cuda/conv_hopper_gate_plan.h"

#include "kernels/cuda/gate_memory.h"

namespace mfs::core {

std::vector<HopperPlan> hopper_gate_plans(const ConvGate& gate, const HopperRoom& room) {
  const HopperGeometry g = hopper_geometry(gate.conv);
  std::vector<HopperPlan> plans = hopper_plans(gate.conv, g, room);
  std::erase_if(plans, [&](const HopperPlan& plan) {
    const HopperTileModel& t = kHopperTiles[plan.tile];
    if (!hopper_has_gate(t)) return true;
    const std::size_t stages = static_cast<std::size_t>(t.stages * hopper_stage_bytes(t));
    const int channels = gate.conv.dst.c + plan.cluster_columns * t.columns;  // with those past the end
    const std::size_t needed = static_cast<std::size_t>(hopper_residual_bytes(t)) +
                               gate_bytes(kHopperGateWidth, hopper_gate_sharers(g, plan), channels, gate.hidden);
    return needed > stages || hopper_clusters(g, plan) > room.clusters(plan.cluster_blocks());
  });
  return plans;
}

}  // namespace mfs::core
