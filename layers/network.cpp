#include "layers/network.h"

#include <string>

#include "layers/blocks.h"

namespace mfs::core {
namespace {

Window stem_pool(StemPool kind) {
  if (kind == StemPool::k2x2) return {.kernel = 2, .stride = 2};
  return {.kernel = 3, .stride = 2, .pad = 1, .ceil_mode = kind == StemPool::k3x3Ceil};
}

// Dilated ResNet at output stride 8: layer3 and layer4 keep the resolution and dilate by 2 and 4.
struct Backbone {
  Value layer1, features;
};
Backbone backbone(GraphBuilder& g, const NetworkDescription& net) {
  constexpr int kStride[] = {1, 2, 1, 1}, kDilation[] = {1, 1, 2, 4};
  Value x = g.named(g.relu(g.conv_bn({"conv1"}, {"bn1"}, g.input(), {.kernel = 7, .stride = 2, .pad = 3})), "stem");
  x = g.named(g.max_pool(x, stem_pool(net.stem_pool)), "pooled");
  Backbone out;
  for (std::size_t l = 0; l < net.blocks.size(); ++l) {
    const Scope layer{"layer" + std::to_string(l + 1)};
    for (int b = 0; b < net.blocks[l]; ++b)
      x = bottleneck(
          g, layer / std::to_string(b), x,
          {.stride = b == 0 ? kStride[l] : 1, .dilation = kDilation[l], .first = b == 0, .stride_in = net.stride_in});
    if (net.blocks[l] > 0) g.named(x, layer.path);
    if (l == 0) out.layer1 = x;
  }
  out.features = x;
  return out;
}

// The paper's late fusion (Section 3.2): the tap, encoded again close to the head.
Value fusion_branch(GraphBuilder& g, const NetworkDescription& net, Value layer1) {
  Value x = layer1;
  if (net.fusion == Fusion::kOwnInit) {
    x = g.relu(g.conv_bn({"init.0"}, {"init.1"}, g.input(), {.kernel = 7, .stride = 2, .pad = 3}));
    x = g.named(g.max_pool(x, {.kernel = 2, .stride = 2}), "init");
  }
  for (int i = 0; i < 3; ++i) {
    const Scope block = Scope{"fusion"} / std::to_string(i);
    x = g.named(se_block(g, block, x, i == 2 ? 2 : 1), block.path);
  }
  return x;
}

}  // namespace

Graph build_network(const WeightsFile& weights, int height, int width) {
  const NetworkDescription& net = weights.network();
  const int channels = weights.preprocess().guidance.kind == Guidance::Kind::kNone ? 3 : 4;
  GraphBuilder g(weights, {1, height, width, channels});
  const auto [layer1, features] = backbone(g, net);
  Value x = features;
  if (net.fusion != Fusion::kNone) {
    Value late = fusion_branch(g, net, layer1);
    if (g.shape(late).h != g.shape(x).h || g.shape(late).w != g.shape(x).w)
      late = g.resize(late, g.shape(x).h, g.shape(x).w, true);
    x = g.concat({x, late});
  }
  return g.finish(pyramid_pooling(g, {"layer5"}, x, net.psp_bins, net.align_corners));
}

}  // namespace mfs::core
