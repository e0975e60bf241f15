// The network after fusion: the operations that kernels offer, on buffers that are not placed yet.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/steps.h"

namespace mfs::core {

struct Buffer {
  Shape shape;
  DType dtype = DType::kF32;
  float scale = 0;  // u8 and e4m3 only: what 1 is worth
};

struct LoweredOp {
  std::string name;  // "layer3.5.conv2"
  AnyStep step;
};

struct Lowered {
  std::vector<Buffer> buffers;
  std::vector<LoweredOp> ops;
  Place input, output;
  std::vector<std::pair<std::string, Place>> named;  // values with names that exist after fusion
};

struct LowerOptions {
  DType dtype = DType::kF32;  // of activations
  // 1x1 convolutions become more K of those they are added to: projected shortcuts, the head's second source.
  bool join_sources = false;
};

// Fuses batch norm, residual and ReLU into convolutions, score maps into the transposed convolutions they are added to, SE
// gate with its shortcut, convolutions that read the same input with the same window into one, and rewrites the PSP head so
// that neither the upsampled priors nor a concat exist (network.md section 3). Pooled context and the logit are f32.
// Throws Error(kUnsupported) for a graph it has no kernels for.
Lowered lower(const Graph& graph, const LowerOptions& options);

}  // namespace mfs::core
