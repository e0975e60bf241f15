// Activations to u8: what convolutions in int8 read.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// dst = src * (1 / scale), in f32, rounded to nearest, ties to even, clamped to 0..255; a NaN becomes 0. src f32 on the CPU,
// f16 or bf16 on CUDA; dst u8; of one shape, NHWC, any pitch.
struct Quantise {
  View src;
  float scale = 1;  // above 0
  MutView dst;
};

Status check(const Quantise&);
Cost cost(const Quantise&);
Status run(const Cpu&, const Quantise&);
Status run(const Cuda&, const Quantise&);

}  // namespace mfs::core
