#include "kernels/conv_gate.h"

#include <optional>

#include "kernels/cuda/conv_check.h"
#include "kernels/cuda/conv_hopper_gate_plan.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/cuda/hopper.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

// As was measured, else by the model; none where there is no kernel.
std::optional<HopperPlan> plan_of(const Cuda& cuda, const ConvGate& g) {
  const Conv& c = g.conv;
  if (!has_hopper(cuda) || cuda.convolutions == ConvFamily::kPortable || !check_on_cuda(c) || !hopper_takes(c)) return {};
  if (!c.sums || c.residual || c.relu || c.copy_scale > 0 || c.dst_scale > 0 || g.hidden < 1 || g.residual_pitch % 8 != 0)
    return {};
  return chosen_plan(cuda, c, hopper_gate_plans(g, hopper_room(cuda)));
}

}  // namespace

int gate_parts(const Cuda& cuda, const ConvGate& gate) {
  if (!plan_of(cuda, gate)) return 0;
  const HopperGeometry g = hopper_geometry(gate.conv);
  return g.tiles_x * g.tiles_y;
}

std::shared_ptr<const PreparedConvGate> prepare_conv_gate(const Cuda& cuda, const ConvGate& gate,
                                                          const ConvParameters& parameters, const std::string& name,
                                                          PackCache& cache) {
#if MFS_HAVE_HOPPER
  if (const auto plan = plan_of(cuda, gate)) return prepare_hopper_gate(gate, *plan, parameters, name, cache);
#endif
  throw Error(Code::kUnsupported, "conv_gate: no kernel for " + to_string(gate.conv.src) + " on capability " +
                                      std::to_string(cuda.capability) + " (" + name + ")");
}

}  // namespace mfs::core
