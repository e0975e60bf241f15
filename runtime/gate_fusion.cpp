#include "runtime/gate_fusion.h"

#include <algorithm>
#include <utility>

#include "runtime/conv_problem.h"

namespace mfs::core {
namespace {

bool read_once(const Lowered& network, int buffer) {
  std::ptrdiff_t readers = 0;
  for (const LoweredOp& op : network.ops) readers += std::ranges::count(access_of(op.step).reads, buffer, &Place::buffer);
  return readers == 1 && network.output.buffer != buffer;
}

}  // namespace

void fuse_gates(Lowered& network, const Cuda& cuda) {
  for (std::size_t i = 0; i + 1 < network.ops.size(); ++i) {
    const auto* conv = std::get_if<ConvStep>(&network.ops[i].step);
    const auto* gate = std::get_if<SqueezeExciteStep>(&network.ops[i + 1].step);
    if (!conv || !gate || !conv->sums || conv->dst.buffer != gate->src.buffer || conv->dst.shape != gate->src.shape) continue;
    const int between = conv->dst.buffer;
    ConvGateStep fused{*conv, *gate};
    if (!read_once(network, between) || gate_parts(cuda, gate_of(fused, network)) != conv->sums.shape.w) continue;
    std::erase_if(network.named, [&](const auto& n) { return n.second.buffer == between; });
    network.ops[i].step = std::move(fused);
    network.ops.erase(network.ops.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

ConvGate gate_of(const ConvGateStep& step, const Lowered& network) {
  ConvGate gate{problem_of(network, step.conv), step.gate.hidden, static_cast<bool>(step.gate.residual), step.gate.relu};
  const auto pitch = [&](const Place& p) { return p ? network.buffers[static_cast<std::size_t>(p.buffer)].shape.c : 0; };
  gate.conv.dst_pitch = pitch(step.gate.dst), gate.residual_pitch = pitch(step.gate.residual);
  return gate;
}

}  // namespace mfs::core
