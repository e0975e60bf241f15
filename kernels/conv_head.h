// The end of the pyramid head in one kernel on Hopper GPUs: the convolution of the feature maps, the upsampled priors that are
// added to it, ReLU, and the 1x1 convolution to one channel. What the first convolution computes never reaches memory.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/conv.h"
#include "kernels/pyramid_pool.h"

namespace mfs::core {

// logit = bias + sum_c weights[c] * relu(conv(src, joined)[c] + sum_i bilinear(priors[i])[c]), as of PyramidHead, but that the
// convolution's result is not rounded.
struct ConvHead {
  Conv conv;              // n x h x w x c as dst; no residual, no ReLU, to the wide type
  std::vector<int> bins;  // of the priors, 1 to kMaxPyramidLevels of them
  bool align_corners = true;
};

struct ConvHeadArguments {
  View src, joined;
  std::span<const View> priors;  // (n, b, b, c) f32, dense
  // (n, h, w, logit_parts()) f32, dense: sums over some of the channels each, with the bias in the first one; added up in
  // their order they are the logit.
  MutView logit;
};

struct LogitParameters {
  std::vector<float> weights;
  float bias = 0;
};

class PreparedConvHead {
 public:
  virtual ~PreparedConvHead() = default;
  virtual const std::string& algorithm() const = 0;  // for profiles: "hopper 128x128 s6, cluster 2x2"
  // Allocates nothing of ours, throws nothing.
  virtual Status run(const Cuda&, const ConvHeadArguments&) const = 0;
};

// 0 where there is no such kernel: on other GPUs than Hopper's, for convolutions that are not its family's or priors with so
// many bins that a tile's share of them does not fit into shared memory.
int logit_parts(const Cuda&, const ConvHead&);

Cost cost(const ConvHead&);

// Throws Error where there is no such kernel.
std::shared_ptr<const PreparedConvHead> prepare_conv_head(const Cuda&, const ConvHead&, const ConvParameters&,
                                                          const LogitParameters&, const std::string& name, PackCache&);

}  // namespace mfs::core
