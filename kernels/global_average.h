// Mean over height and width of every channel: the "squeeze" of squeeze-and-excitation.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// src NHWC, f32, f16 or bf16, any pitch; dst (n, 1, 1, c) dense f32. f32 accumulation, in an order that
// depends only on the shape and the number of threads or multiprocessors. scratch: scratch_bytes() bytes.
struct GlobalAverage {
  View src;
  MutView dst;
  float* scratch = nullptr;
};

std::size_t scratch_bytes(const Cpu&, const GlobalAverage&);
std::size_t scratch_bytes(const Cuda&, const GlobalAverage&);
Status check(const GlobalAverage&);
Cost cost(const GlobalAverage&);
Status run(const Cpu&, const GlobalAverage&);
Status run(const Cuda&, const GlobalAverage&);

}  // namespace mfs::core
