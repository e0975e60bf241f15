// The two ends of a run as operations: photo and taps to the network's input, its logit to the photo's size.
#pragma once

#include <algorithm>
#include <new>

#include "kernels/error.h"
#include "kernels/preprocess.h"
#include "kernels/upsample_mask.h"
#include "runtime/executor.h"
#include "runtime/refine.h"
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

// Of a batch's tensor, the one image.
template <typename AnyView>
AnyView image_of(AnyView batch, std::size_t image) {
  Shape one = batch.shape;
  one.n = 1;
  const std::int64_t elements = one.pixels() * batch.pitch;
  auto* data = reinterpret_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(batch.data)));
  if (data) data += static_cast<std::int64_t>(image) * elements * static_cast<std::int64_t>(size_of(batch.dtype));
  return {data, batch.dtype, one, batch.pitch};
}

// The end of a run for one photo; `input` and `logit` are its own.
template <typename Device>
Status finish_photo(const Device& device, const RunRequest& r, const NetworkDescription& n, bool refine, const View& input,
                    const View& logit, std::span<std::byte> scratch) {
  const UpsampleMask upsample = upsample_of(r, n, logit, scratch);
  return refine ? run(device, refinement_of(device, r, upsample, input, scratch.data())) : run(device, upsample);
}

// Scratch that serves both ends, one photo at a time, for photos of up to this size.
template <typename Device>
std::size_t photo_scratch(const Device& device, const PreprocessDescription& p, const NetworkDescription& n,
                          const PhotoLimits& limits, const View& input, const View& logit) {
  RunRequest r;
  r.image.width = limits.width, r.image.height = limits.height;
  const MutView dst(nullptr, input.dtype, image_of(input, 0).shape, input.pitch);
  const UpsampleMask upsample = upsample_of(r, n, image_of(logit, 0), {});
  return std::max(scratch_bytes(device, preprocess_of(r, p, dst, {})),
                  limits.refine ? refinement_of(device, r, upsample, input, nullptr).bytes : scratch_bytes(device, upsample));
}

// Runs `body`, which may throw, on the run path.
template <typename Body>
Status status_of(const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    return {e.code(), e.what()};
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return {};
}

}  // namespace mfs::core
