// The last step of guided upsampling: affine functions of a photo's colours, fitted on a coarse grid (see guided_filter.h),
// applied to the photo itself, as probability, mask or both.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// planes (1, h, w, 4) dense f32, 16-byte aligned on the GPU, bilinearly resized to the photo with half-pixel centres:
// probability = planes[0..2] (colour / 255 - 1/2) + planes[3], clamped to 0..1. probability (f32) and mask (0 or 255; 255 where
// probability > threshold) have the photo's size and may each be null; row strides in bytes.
struct GuidedMask {
  View planes;
  ImageView image;
  float threshold = 0.5f;  // 0 < threshold < 1
  float* probability = nullptr;
  std::int64_t probability_stride = 0;
  std::uint8_t* mask = nullptr;
  std::int64_t mask_stride = 0;
  std::span<std::byte> scratch;
};

std::size_t scratch_bytes(const Cpu&, const GuidedMask&);  // looks at the photo's size only
std::size_t scratch_bytes(const Cuda&, const GuidedMask&);
Status check(const GuidedMask&);
Cost cost(const GuidedMask&);
Status run(const Cpu&, const GuidedMask&);
Status run(const Cuda&, const GuidedMask&);

}  // namespace mfs::core
