// Guided filter (He, Sun, Tang: "Guided Image Filtering", TPAMI 2013), up to its last step: around every pixel the affine
// function of the guide's colours that comes nearest to the values.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

inline constexpr int kMostFilterRadius = 8;
inline constexpr float kLeastFilterEpsilon = 1e-5f;  // smaller ones drown in the rounding of f32

// guide (1, h, w, 4), colours of which the fourth is ignored, of magnitude up to about 1; value (1, h, w, 1). In the square
// window of `radius` pixels to each side of a pixel, as far as it lies in the picture, a = (cov(guide) + epsilon)^-1 cov(guide,
// value) and b = mean(value) - a mean(guide). dst (1, h, w, 4): the means of a (3 channels) and b over the same windows, so
// that a guide + b is the filtered value. All dense f32, 16-byte aligned on the GPU. scratch: scratch_bytes() bytes, 64-byte
// aligned.
struct GuidedFilter {
  View guide, value;
  int radius = 1;         // 1 to kMostFilterRadius
  float epsilon = 1e-3f;  // variance of the guide below which the values are smoothed; kLeastFilterEpsilon or more
  MutView dst;
  std::span<std::byte> scratch;
};

std::size_t scratch_bytes(const Cpu&, const GuidedFilter&);  // looks at the guide's size and the radius only
std::size_t scratch_bytes(const Cuda&, const GuidedFilter&);
Status check(const GuidedFilter&);
Cost cost(const GuidedFilter&);
Status run(const Cpu&, const GuidedFilter&);
Status run(const Cuda&, const GuidedFilter&);

}  // namespace mfs::core
