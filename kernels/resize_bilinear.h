// Bilinear resize of feature maps (no antialiasing), either corner convention of PyTorch.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// src (n, h, w, c) to dst (n, h', w', c); f32, f16 or bf16 (src and dst alike), any pitch, f32 arithmetic.
struct ResizeBilinear {
  View src;
  bool align_corners = true;
  MutView dst;
};

// Source position and weight of output index i: value = (1 - t) * src[lo] + t * src[hi].
struct Lerp {
  int lo, hi;
  float t;
};
Lerp lerp_at(int i, int src_size, int dst_size, bool align_corners);

Status check(const ResizeBilinear&);
Cost cost(const ResizeBilinear&);
Status run(const Cpu&, const ResizeBilinear&);
Status run(const Cuda&, const ResizeBilinear&);

}  // namespace mfs::core
