// Adaptive average pooling to several grids in one pass over the source: the pooling of the PSP module.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// src (n, h, w, c), f32, f16 or bf16, any pitch. grids[i] is (n, b_i, b_i, c), f32, any pitch: bin (y, x) is the mean over rows
// [floor(y*h/b), ceil((y+1)*h/b)) and columns likewise (bins overlap when b does not divide the size).
// On the GPU the b_i add up to 64 at most. scratch: scratch_bytes() bytes, 64-byte aligned.
struct PyramidPool {
  View src;
  std::span<const MutView> grids;
  std::span<std::byte> scratch;
};

inline constexpr int kMaxPyramidLevels = 8;

std::size_t scratch_bytes(const Cpu&, const PyramidPool&);
std::size_t scratch_bytes(const Cuda&, const PyramidPool&);
Status check(const PyramidPool&);
Cost cost(const PyramidPool&);
Status run(const Cpu&, const PyramidPool&);
Status run(const Cuda&, const PyramidPool&);

}  // namespace mfs::core
