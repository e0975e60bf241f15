// Max pooling, square window.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// NHWC, f32 or bf16 (src and dst alike), any pitch. Padding never wins. dst's height and width follow pooled_size().
struct MaxPool {
  View src;
  int kernel = 2, stride = 2, pad = 0;
  bool ceil_mode = false;  // PyTorch's: a window may start inside src or its left/top padding only
  MutView dst;
};

int pooled_size(int size, int kernel, int stride, int pad, bool ceil_mode);
Status check(const MaxPool&);
Cost cost(const MaxPool&);
Status run(const Cpu&, const MaxPool&);
Status run(const Cuda&, const MaxPool&);

}  // namespace mfs::core
