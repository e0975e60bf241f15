// The network after fusion: the operations that kernels offer, on buffers that are not placed yet.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "kernels/tensor_view.h"
#include "layers/graph.h"

namespace mfs::core {

// A value in a buffer: all of its channels or, for values that lie next to each other, a slice of them.
struct Place {
  int buffer = -1;
  int first_channel = 0;
  Shape shape;  // of the value, not of the buffer

  explicit operator bool() const { return buffer >= 0; }
};

struct Buffer {
  Shape shape;
  DType dtype = DType::kF32;
  float scale = 0;  // u8 and e4m3 only: what 1 is worth
};

// Filters from the weights file: of `conv` (with batch norm `norm` folded unless empty), input channels
// [first_in, first_in + in) of its `total_in`. Without `shift`, bias and batch norm's shift are left out.
struct Filters {
  std::string conv, norm;
  int out = 0, first_in = 0, in = 0;
  bool shift = true;
};

struct ConvStep {
  Place src, residual, dst;
  Window window;
  bool relu = false;
  std::vector<Filters> filters;  // their outputs lie next to each other in dst
  Place joined;                  // source of a 1x1 convolution added to this one (see Conv)
  int joined_stride = 1;
  Filters joined_filters;
  Place copy;  // dst once more, narrow (see quantisation.h)
};
// Convolutions in f32 that do not depend on each other, at once; see conv_groups.h.
struct ConvGroupStep {
  std::vector<ConvStep> convs;
};
struct MaxPoolStep {
  Place src, dst;
  Window window;
};
struct SqueezeExciteStep {
  Place src, residual, dst;
  std::string squeeze, excite;  // tensors
  int hidden = 0;               // channels between the two
  bool relu = false;
};
struct PyramidPoolStep {
  Place src;
  std::vector<Place> grids;
};
struct PyramidHeadStep {
  Place features;
  std::vector<Place> priors;
  std::string final_conv;
  bool align_corners = true;
  Place dst;
};
struct ResizeStep {
  Place src, dst;
  bool align_corners = true;
};

struct TransposedConvStep {
  Place src, residual, dst;
  Window window;
  std::string tensors;
};

// To u8 or e4m3; see quantisation.h.
struct QuantiseStep {
  Place src, dst;
};

using AnyStep = std::variant<ConvStep, ConvGroupStep, MaxPoolStep, SqueezeExciteStep, PyramidPoolStep, PyramidHeadStep,
                             ResizeStep, TransposedConvStep, QuantiseStep>;

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
  DType dtype = DType::kF32;    // of activations
  bool join_shortcuts = false;  // projected shortcuts become more K of the convolutions they are added to
};

// Fuses batch norm, residual and ReLU into convolutions, score maps into the transposed convolutions they are added to, SE
// gate with its shortcut, convolutions that read the same input with the same window into one, and rewrites the PSP head so
// that neither the upsampled priors nor a concat exist (network.md section 3). Pooled context and the logit are f32.
// Throws Error(kUnsupported) for a graph it has no kernels for.
Lowered lower(const Graph& graph, const LowerOptions& options);

// Every place a step reads and writes.
struct Access {
  std::vector<Place> reads, writes;
};
Access access_of(const AnyStep& step);

}  // namespace mfs::core
