// Activations to u8 or e4m3: what convolutions in int8 and fp8 read.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// dst = src * (1 / scale), in f32, rounded to nearest, ties to even, clamped to 0..255 (u8, where a NaN becomes 0) or +-448
// (e4m3). src f32 and dst u8 on the CPU, src f16 or bf16 on CUDA; of one shape, NHWC, any pitch.
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
