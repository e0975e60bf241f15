// The last step: network-grid logits to the photo's size, as probability, mask or both.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

enum class UpsampleOf { kLogit, kProbability };  // what is interpolated; the paper does the latter, its base code the former

// logit (1, h, w, 1) dense f32, on CUDA also (1, h, w, parts), which are added up in their order; bilinearly resized to width x
// height. probability (f32, 0..1) and mask (0 or 255; 255 where probability > threshold) may each be null; row strides in
// bytes. Mask alone computes no sigmoid when logits are upsampled.
struct UpsampleMask {
  View logit;
  UpsampleOf domain = UpsampleOf::kLogit;
  bool align_corners = true;
  float threshold = 0.5f;  // 0 < threshold < 1
  int width = 0, height = 0;
  float* probability = nullptr;
  std::int64_t probability_stride = 0;
  std::uint8_t* mask = nullptr;
  std::int64_t mask_stride = 0;
  std::span<std::byte> scratch;
};

std::size_t scratch_bytes(const Cpu&, const UpsampleMask&);
std::size_t scratch_bytes(const Cuda&, const UpsampleMask&);
Status check(const UpsampleMask&);
Cost cost(const UpsampleMask&);
Status run(const Cpu&, const UpsampleMask&);
Status run(const Cuda&, const UpsampleMask&);

}  // namespace mfs::core
