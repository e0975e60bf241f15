// Transposed convolution, which enlarges score maps; FCN's "deconvolution" (Long et al. 2015, Section 3.3).
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// dst = transposed convolution of src + residual?, as in PyTorch: pixel (y, x) of src adds weights * src to the window of
// kernel x kernel pixels of dst that begins at (y * stride - pad, x * stride - pad); no bias, no dilation, groups = 1.
// src (n, h, w, cin), residual and dst (n, h', w', cout), sizes by transposed_conv_size(); NHWC, any pitch. src and residual
// are f32 (CPU only), f16 (CUDA only) or bf16, alike; dst is of their type or f32. f32 accumulation. residual may be dst.
// weights: (kernel, kernel, cin, cout) dense f32, 16-byte aligned.
struct TransposedConv {
  View src;
  const float* weights = nullptr;
  int kernel = 4, stride = 2, pad = 1;
  View residual;  // without data: none
  MutView dst;
};

constexpr int transposed_conv_size(int size, int kernel, int stride, int pad) { return (size - 1) * stride - 2 * pad + kernel; }

Status check(const TransposedConv&);
Cost cost(const TransposedConv&);
Status run(const Cpu&, const TransposedConv&);
Status run(const Cuda&, const TransposedConv&);

}  // namespace mfs::core
