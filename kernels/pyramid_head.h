// End of the PSP module after the rewrite of network.md section 3: no upsampled prior and no concat ever exists.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// logit[y][x] = bias + sum_c weights[c] * relu(features[y][x][c] + sum_i bilinear(priors[i], y, x)[c])
// features (n, h, w, c) f32, f16 or bf16, any pitch (batch norm folded, its shift included); priors[i] (n, b, b, c) dense f32;
// logit (n, h, w, 1) dense f32. align_corners as in the checkpoint. On the GPU 8 priors at most.
// scratch: scratch_bytes() bytes, 64-byte aligned; none on the GPU.
struct PyramidHead {
  View features;
  std::span<const View> priors;
  const float* weights = nullptr;
  float bias = 0;
  bool align_corners = true;
  MutView logit;
  std::span<std::byte> scratch;
};

std::size_t scratch_bytes(const Cpu&, const PyramidHead&);
std::size_t scratch_bytes(const Cuda&, const PyramidHead&);
Status check(const PyramidHead&);
Cost cost(const PyramidHead&);
Status run(const Cpu&, const PyramidHead&);
Status run(const Cuda&, const PyramidHead&);

}  // namespace mfs::core
