// dst = activation(weights * src + bias) on vectors: the two layers of a squeeze-and-excitation gate.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

enum class Activation { kNone, kRelu, kSigmoid };

// src (n, 1, 1, k), dst (n, 1, 1, m), dense f32; weights m x k row-major f32; bias m floats or null.
struct FullyConnected {
  View src;
  const float* weights = nullptr;
  const float* bias = nullptr;
  Activation activation = Activation::kNone;
  MutView dst;
};

Status check(const FullyConnected&);
Cost cost(const FullyConnected&);
Status run(const Cpu&, const FullyConnected&);
Status run(const Cuda&, const FullyConnected&);

}  // namespace mfs::core
