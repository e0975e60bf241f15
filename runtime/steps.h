// The operations that kernels offer, on places in buffers.
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
  Place sums;  // of dst (see add_sums)
};
// Convolutions in f32 that do not depend on each other, at once; see conv_groups.h.
struct ConvGroupStep {
  std::vector<ConvStep> convs;
};
// A convolution of the network's input and the max pooling of its result, which is never stored; see stem_fusion.h.
struct StemStep {
  ConvStep conv;
  std::vector<Place> pooled;  // of each of its filters
  std::vector<int> pools;     // as in kernels/stem.h
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
  Place sums{};  // of src, from the convolution before, or none
};
// Without `conv.dst` and `gate.src`, which are never stored; see gate_fusion.h.
struct ConvGateStep {
  ConvStep conv;
  SqueezeExciteStep gate;
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
// Without `features`, which the convolution would write; see head_fusion.h.
struct ConvHeadStep {
  ConvStep conv;
  PyramidHeadStep head;
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

using AnyStep = std::variant<ConvStep, ConvGroupStep, StemStep, MaxPoolStep, SqueezeExciteStep, ConvGateStep, PyramidPoolStep,
                             PyramidHeadStep, ConvHeadStep, ResizeStep, TransposedConvStep, QuantiseStep>;

// Every place a step reads and writes.
struct Access {
  std::vector<Place> reads, writes;
};
Access access_of(const AnyStep& step);
// Whether neither writes anything that the other one reads or writes.
bool independent(const Access& a, const Access& b);

}  // namespace mfs::core
