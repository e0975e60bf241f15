// The building blocks of the network: functions from values to a value. Names below `at` are the state_dict's.
#pragma once

#include <span>

#include "layers/graph.h"

namespace mfs::core {

// ResNet bottleneck 1x1 -> 3x3 -> 1x1 (x4) with shortcut; `first` blocks project the shortcut.
struct BottleneckOptions {
  int stride = 1, dilation = 1;
  bool first = false;
  StrideIn stride_in = StrideIn::kConv1;
};
Value bottleneck(GraphBuilder& g, const Scope& at, Value x, const BottleneckOptions& o);

// SE-ResNet block (Hu et al. 2018): two 3x3 convolutions, squeeze-and-excitation, shortcut. The shortcut is projected when the
// file has `downsample.0` (stride 2, or a change of width). The paper's late fusion is three of these (its Section 3.2).
Value se_block(GraphBuilder& g, const Scope& at, Value x, int stride);

// Pyramid scene parsing head (Zhao et al. 2017): pooled context at several grid sizes next to the features -> one logit map.
Value pyramid_pooling(GraphBuilder& g, const Scope& at, Value x, std::span<const int> bins, bool align_corners);

}  // namespace mfs::core
