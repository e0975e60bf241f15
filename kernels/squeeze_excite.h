// dst = relu?(src * gate + residual?): the end of an SE-ResNet block (Hu et al. 2018). The gate of a channel follows from the
// means of all channels: gate = sigmoid(excite relu(squeeze mean + squeeze_bias) + excite_bias).
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// src, residual (optional) and dst: same shape and dtype (f32, f16 or bf16), any pitch; dst may be src or residual. Means and
// gates are f32, summed in an order that depends only on the shape and the number of threads or multiprocessors.
struct SqueezeExcite {
  View src, residual = {};
  int hidden = 0;
  const float* squeeze = nullptr;       // hidden x c, row-major
  const float* squeeze_bias = nullptr;  // hidden, or null
  const float* excite = nullptr;        // c x hidden
  const float* excite_bias = nullptr;   // c, or null
  bool relu = false;
  MutView dst = {};
  std::span<std::byte> scratch = {};  // scratch_bytes(), 64-byte aligned
  View sums = {};                     // CUDA, optional: of src over parts of its images, as a convolution writes them (Conv)
};

std::size_t scratch_bytes(const Cpu&, const SqueezeExcite&);
std::size_t scratch_bytes(const Cuda&, const SqueezeExcite&);
Status check(const SqueezeExcite&);
Cost cost(const SqueezeExcite&);
Status run(const Cpu&, const SqueezeExcite&);
Status run(const Cuda&, const SqueezeExcite&);

}  // namespace mfs::core
