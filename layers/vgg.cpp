#include "layers/vgg.h"

#include <string>

namespace mfs::core {
namespace {

constexpr Window kHalve{.kernel = 2, .stride = 2};
constexpr Window kDouble{.kernel = 4, .stride = 2, .pad = 1};

// 3x3 convolutions with bias and ReLU, then a 2x2 max-pool. `layer` is torchvision's index of the next one: every ReLU and
// every pool counts.
Value stage(GraphBuilder& g, int& layer, int convs, Value x) {
  for (; convs > 0; --convs, layer += 2)
    x = g.relu(g.conv_bias(Scope{"features"} / std::to_string(layer), x, {.kernel = 3, .pad = 1}));
  ++layer;
  return g.max_pool(x, kHalve);
}

Value score(GraphBuilder& g, const std::string& name, Value x) { return g.named(g.conv_bias({name}, x, {}, 1), name); }

}  // namespace

Value vgg_fcn8(GraphBuilder& g, Value x) {
  int layer = 0;
  x = g.named(stage(g, layer, 2, x), "pool1");
  x = g.named(stage(g, layer, 2, x), "pool2");
  x = g.named(stage(g, layer, 3, x), "pool3");
  const Value score3 =
      score(g, "score_pool3", x);  // recorded, and so run, here: the maps it reads need not outlive the next stage
  x = g.named(stage(g, layer, 3, x), "pool4");
  const Value score4 = score(g, "score_pool4", x);
  x = g.named(stage(g, layer, 3, x), "pool5");
  x = g.named(g.relu(g.conv_bias({"classifier.0"}, x, {.kernel = 7, .pad = 3})), "fc6");
  x = g.named(g.relu(g.conv_bias({"classifier.3"}, x)), "fc7");
  x = score(g, "score_fr", x);
  x = g.named(g.add(g.transposed_conv({"upscore2"}, x, kDouble), score4), "fuse_pool4");
  return g.named(g.add(g.transposed_conv({"upscore_pool4"}, x, kDouble), score3), "logit");
}

}  // namespace mfs::core
