#include "layers/blocks.h"

#include <string>
#include <vector>

namespace mfs::core {

Value bottleneck(GraphBuilder& g, const Scope& at, Value x, const BottleneckOptions& o) {
  const bool early = o.stride_in == StrideIn::kConv1;
  const Value shortcut = o.first ? g.conv_bn(at / "downsample" / "0", at / "downsample" / "1", x, {.stride = o.stride}) : x;
  Value y = g.relu(g.conv_bn(at / "conv1", at / "bn1", x, {.stride = early ? o.stride : 1}));
  y = g.relu(g.conv_bn(at / "conv2", at / "bn2", y,
                       {.kernel = 3, .stride = early ? 1 : o.stride, .dilation = o.dilation, .pad = o.dilation}));
  y = g.conv_bn(at / "conv3", at / "bn3", y);
  return g.relu(g.add(y, shortcut));
}

Value se_block(GraphBuilder& g, const Scope& at, Value x, int stride) {
  const bool projected = g.has(at / "downsample" / "0");
  const Value shortcut = projected ? g.conv_bn(at / "downsample" / "0", at / "downsample" / "1", x, {.stride = stride}) : x;
  Value y = g.relu(g.conv_bn(at / "conv1", at / "bn1", x, {.kernel = 3, .stride = stride, .pad = 1}));
  y = g.conv_bn(at / "conv2", at / "bn2", y, {.kernel = 3, .pad = 1});
  Value gate = g.linear(at / "se" / "fc1", g.global_average(y), Activation::kRelu);
  gate = g.linear(at / "se" / "fc2", gate, Activation::kSigmoid);
  return g.relu(g.add(g.scale_channels(y, gate), shortcut));
}

Value pyramid_pooling(GraphBuilder& g, const Scope& at, Value x, std::span<const int> bins, bool align_corners) {
  std::vector<Value> parts;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const Scope stage = at / "stages" / std::to_string(i);
    const Value pooled = g.named(g.adaptive_pool(x, bins[i]), (at / "pool" / std::to_string(i)).path);
    const Value prior = g.named(g.relu(g.conv_bn(stage / "1", stage / "2", pooled)), stage.path);
    parts.push_back(g.resize(prior, g.shape(x).h, g.shape(x).w, align_corners));
  }
  parts.push_back(x);
  const Value y = g.relu(g.conv_bn(at / "bottleneck" / "0", at / "bottleneck" / "1", g.concat(parts)));
  return g.named(g.conv(at / "final", y), "logit");
}

}  // namespace mfs::core
