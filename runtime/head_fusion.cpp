#include "runtime/head_fusion.h"

#include <utility>

#include "runtime/conv_problem.h"

namespace mfs::core {

void fuse_head(Lowered& network, const Cuda& cuda) {
  if (network.ops.size() < 2) return;
  const auto* head = std::get_if<PyramidHeadStep>(&network.ops.back().step);
  const auto* conv = std::get_if<ConvStep>(&network.ops[network.ops.size() - 2].step);
  if (!head || !conv || conv->dst.buffer != head->features.buffer || conv->dst.shape != head->features.shape) return;
  ConvHeadStep fused{*conv, *head};
  const int parts = logit_parts(cuda, head_of(fused, network));
  if (parts == 0) return;

  const int between = conv->dst.buffer, logit = head->dst.buffer;
  std::erase_if(network.named, [&](const auto& n) { return n.second.buffer == between || n.second.buffer == logit; });
  network.buffers[static_cast<std::size_t>(logit)].shape.c = parts;
  fused.head.dst.shape.c = network.output.shape.c = parts;
  network.ops.pop_back();
  network.ops.back().step = std::move(fused);
}

ConvHead head_of(const ConvHeadStep& step, const Lowered& network) {
  ConvHead head{problem_of(network, step.conv), {}, step.head.align_corners};
  for (const Place& prior : step.head.priors) head.bins.push_back(prior.shape.h);
  return head;
}

}  // namespace mfs::core
