// The two ends of a run as operations: photo and taps to the network's input, its logit to the photo's size.
#pragma once

#include "kernels/preprocess.h"
#include "kernels/upsample_mask.h"
#include "runtime/executor.h"
#include "weights/network_description.h"

namespace mfs::core {

inline Preprocess preprocess_of(const RunRequest& r, const PreprocessDescription& p, const MutView& dst,
                                std::span<std::byte> scratch) {
  return {r.image, r.taps, p.mean, p.std, p.guidance, dst, scratch};
}

inline UpsampleMask upsample_of(const RunRequest& r, const NetworkDescription& n, const View& logit,
                                std::span<std::byte> scratch) {
  const auto domain = n.upsample == UpsampleDomain::kProbability ? UpsampleOf::kProbability : UpsampleOf::kLogit;
  return {logit,         domain,         n.align_corners, r.threshold,
          r.image.width, r.image.height, r.probability,   r.probability_stride,
          r.mask,        r.mask_stride,  scratch};
}

}  // namespace mfs::core
