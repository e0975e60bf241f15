// What both families and f32 refuse on CUDA.
#pragma once

#include "kernels/check.h"
#include "kernels/conv.h"

namespace mfs::core {

// Pixels are counted in 32 bits, window corners in 16.
inline Status check_on_cuda(const Conv& c) {
  if (Status s = check(c); !s) return s;
  constexpr int kLargestSide = 30000;
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 30;
  const bool sides = c.src.h > kLargestSide || c.src.w > kLargestSide || c.pad > kLargestSide;
  if (sides || c.src.pixels() > kMostPixels || c.dst.pixels() > kMostPixels || c.joined.pixels() > kMostPixels)
    return refuse("conv", "src " + to_string(c.src) + " is too large for the GPU");
  return {};
}

}  // namespace mfs::core
