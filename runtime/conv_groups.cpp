#include "runtime/conv_groups.h"

#include <algorithm>
#include <utility>

#include "kernels/conv_group.h"

namespace mfs::core {
namespace {

const ConvStep* as_f32_conv(const Lowered& network, const LoweredOp& op) {
  const auto* conv = std::get_if<ConvStep>(&op.step);
  return conv && network.buffers[static_cast<std::size_t>(conv->src.buffer)].dtype == DType::kF32 ? conv : nullptr;
}

}  // namespace

void group_convs(Lowered& network) {
  std::vector<LoweredOp> ops;
  for (std::size_t i = 0; i < network.ops.size();) {
    std::size_t end = i;
    ConvGroupStep group;
    for (; end < network.ops.size() && group.convs.size() < kMostGrouped; ++end) {
      const ConvStep* conv = as_f32_conv(network, network.ops[end]);
      if (!conv ||
          !std::ranges::all_of(group.convs, [&](const ConvStep& c) { return independent(access_of(c), access_of(*conv)); }))
        break;
      group.convs.push_back(*conv);
    }
    if (group.convs.size() < 2) {
      ops.push_back(std::move(network.ops[i++]));
      continue;
    }
    ops.push_back({network.ops[i].name + " to " + network.ops[end - 1].name, std::move(group)});
    i = end;
  }
  network.ops = std::move(ops);
}

}  // namespace mfs::core
