// int8 and fp8 on a lowered network of f32 or f16: which convolutions are computed in it, and where their activations are
// rounded.
#pragma once

#include <string>
#include <vector>

#include "runtime/lowered.h"
#include "weights/calibration.h"

namespace mfs::core {

// Convolutions are computed in int8 or fp8 where what they read cannot be negative and is a map, not pooled context; the stem,
// which reads the photo, layer1 in fp8, and convolutions from or to channels that are no multiple of 16, as of score maps, are
// not. So all that is added (shortcuts), scaled, pooled or shown stays as it is.

// A value that such convolutions read.
struct QuantisedValue {
  std::string name;    // under which its range is kept: of the operation that writes it
  std::size_t writer;  // that operation
};
// Those of int8, which include fp8's, in order of their writers. The network may have been made to share buffers.
std::vector<QuantisedValue> quantised_values(const Lowered& network);

struct QuantiseOptions {
  DType type = DType::kU8;  // u8 or e4m3
  bool copies = false;      // convolutions can write what they compute twice
};
// Makes these convolutions read the narrow type. A value that nobody else reads is written in it by the convolution that
// computes it; others are rounded by a QuantiseStep of their own or, with `copies`, by the convolution, if it is one of these
// that computes them. Buffers must not be shared yet. Throws Error(kBadWeights) when a value has no range or a range no
// operation.
void quantise(Lowered& network, const Calibration& calibration, const QuantiseOptions& options);

}  // namespace mfs::core
