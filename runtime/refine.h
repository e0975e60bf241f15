// Guided upsampling: the logit's probability, filtered with the photo as its guide (He, Sun, Tang 2013), so that outlines
// follow edges of the photo that the logit's grid is too coarse for. The filter's coefficients are found on a grid of their
// own, half as fine as the network's input, and applied to the photo (as in He and Sun's "Fast Guided Filter", 2015).
#pragma once

#include <algorithm>

#include "kernels/guided_filter.h"
#include "kernels/guided_mask.h"
#include "kernels/preprocess.h"
#include "kernels/scratch.h"
#include "kernels/upsample_mask.h"
#include "runtime/executor.h"

namespace mfs::core {

// The grid has one pixel for 2 x 2 of the network's; windows of 9 x 9 are a little more than two values of a logit at 1/8. Of
// radii from 3 to 6 and epsilons from 1e-4 to 2e-3, these were within 0.15 points of the best on parts of DUTS-TE and DAVIS
// (mfs-small in PyTorch, 2026-11-26).
// The values keep the network's corner convention: with aligned corners, at the photo's border, half a network pixel beside the
// guide's. Means of 2 x 2 values interpolated at the network's size instead changed no mean IoU by 0.1 points.
inline constexpr int kRefineStep = 2, kRefineRadius = 4;
inline constexpr float kRefineEpsilon = 3e-4f;  // colours from 0 to 1

// The guide is the photo once more, in f32: the network's input is narrow, and later steps use its memory.
// The operations, in the order they run, in memory that begins at `memory` (null: sizes only).
struct Refinement {
  Preprocess guide;
  UpsampleMask value;
  GuidedFilter filter;
  GuidedMask mask;
  std::size_t bytes = 0;
};

// upsample: as without refinement; input: the network's, for its size.
template <typename Device>
Refinement refinement_of(const Device& device, const RunRequest& r, const UpsampleMask& upsample, const View& input,
                         std::byte* memory) {
  const int h = input.shape.h / kRefineStep, w = input.shape.w / kRefineStep;
  ScratchCutter cut(memory);
  const MutView guide(cut.take<float>(std::int64_t{4} * h * w), DType::kF32, {1, h, w, 4});
  const MutView value(cut.take<float>(std::int64_t{h} * w), DType::kF32, {1, h, w, 1});
  const MutView planes(cut.take<float>(std::int64_t{4} * h * w), DType::kF32, {1, h, w, 4});
  Refinement all{.guide = {r.image, {}, {0.5f, 0.5f, 0.5f}, {1, 1, 1}, {.kind = Guidance::Kind::kNone}, guide, {}},
                 .value = upsample,
                 .filter = {guide, value, kRefineRadius, kRefineEpsilon, planes, {}},
                 .mask = {planes, r.image, r.threshold, r.probability, r.probability_stride, r.mask, r.mask_stride, {}}};
  all.value.width = w, all.value.height = h;
  all.value.probability = static_cast<float*>(value.data), all.value.probability_stride = std::int64_t{4} * w;
  all.value.mask = nullptr;
  const std::size_t each[] = {scratch_bytes(device, all.guide), scratch_bytes(device, all.value),
                              scratch_bytes(device, all.filter), scratch_bytes(device, all.mask)};
  const auto scratch = static_cast<std::int64_t>(std::ranges::max(each));
  std::byte* const shared = cut.take<std::byte>(scratch);
  for (std::span<std::byte>* s : {&all.guide.scratch, &all.value.scratch, &all.filter.scratch, &all.mask.scratch})
    *s = {shared, shared ? static_cast<std::size_t>(scratch) : 0};
  all.bytes = cut.used();
  return all;
}

template <typename Device>
Status run(const Device& device, const Refinement& all) {
  if (Status s = run(device, all.guide); !s) return s;
  if (Status s = run(device, all.value); !s) return s;
  if (Status s = run(device, all.filter); !s) return s;
  return run(device, all.mask);
}

}  // namespace mfs::core
