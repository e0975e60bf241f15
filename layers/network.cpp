#include "layers/network.h"

#include <string>

#include "layers/blocks.h"
#include "layers/vgg.h"

namespace mfs::core {
namespace {

Window stem_pool(StemPool kind) {
  if (kind == StemPool::k2x2) return {.kernel = 2, .stride = 2};
  return {.kernel = 3, .stride = 2, .pad = 1, .ceil_mode = kind == StemPool::k3x3Ceil};
}

// A layer of the dilated ResNet at output stride 8: layer3 and layer4 keep the resolution and dilate by 2 and 4.
Value layer(GraphBuilder& g, const NetworkDescription& net, std::size_t index, Value x) {
  constexpr int kStride[] = {1, 2, 1, 1}, kDilation[] = {1, 1, 2, 4};
  const Scope at{"layer" + std::to_string(index + 1)};
  for (int b = 0; b < net.blocks[index]; ++b) {
    const bool first = b == 0;
    x = bottleneck(
        g, at / std::to_string(b), x,
        {.stride = first ? kStride[index] : 1, .dilation = kDilation[index], .first = first, .stride_in = net.stride_in});
  }
  return net.blocks[index] > 0 ? g.named(x, at.path) : x;
}

// The paper's late fusion (Section 3.2): the tap, encoded again close to the head.
Value fusion_branch(GraphBuilder& g, Value x) {
  for (int i = 0; i < 3; ++i) {
    const Scope block = Scope{"fusion"} / std::to_string(i);
    x = g.named(se_block(g, block, x, i == 2 ? 2 : 1), block.path);
  }
  return x;
}

}  // namespace

Graph build_network(const WeightsFile& weights, int height, int width, int batch) {
  const NetworkDescription& net = weights.network();
  const int channels = weights.preprocess().guidance.kind == Guidance::Kind::kNone ? 3 : 4;
  GraphBuilder g(weights, {batch, height, width, channels});
  if (is_vgg(net.variant)) return g.finish(vgg_fcn8(g, g.input()));
  constexpr Window kStem{.kernel = 7, .stride = 2, .pad = 3};
  Value x = g.named(g.relu(g.conv_bn({"conv1"}, {"bn1"}, g.input(), kStem)), "stem");
  x = g.named(g.max_pool(x, stem_pool(net.stem_pool)), "pooled");
  Value late;
  if (net.fusion == Fusion::kOwnInit) {  // recorded, and so run, first: its large maps are gone before layer4 needs the memory
    const Value init = g.relu(g.conv_bn({"init.0"}, {"init.1"}, g.input(), kStem));
    late = fusion_branch(g, g.named(g.max_pool(init, {.kernel = 2, .stride = 2}), "init"));
  }
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    x = layer(g, net, i, x);
    if (i == 0 && net.fusion == Fusion::kLayer1) late = fusion_branch(g, x);
  }
  if (net.fusion != Fusion::kNone) {
    if (g.shape(late).h != g.shape(x).h || g.shape(late).w != g.shape(x).w)
      late = g.resize(late, g.shape(x).h, g.shape(x).w, true);
    x = g.concat({x, late});
  }
  return g.finish(pyramid_pooling(g, {"layer5"}, x, net.psp_bins, net.align_corners));
}

}  // namespace mfs::core
