// How upsample_mask decides between object and background, for both backends.
#pragma once

#include <cmath>

#include "kernels/portable.h"
#include "kernels/upsample_mask.h"

namespace mfs::core {

// a + t * (b - a) can be fused in one way only, so a value is the same in every loop that computes it.
MFS_PORTABLE float lerp(float a, float b, float t) { return a + t * (b - a); }

// The mask is decided on the interpolated value (`cut` is the threshold in its domain), with or without a probability next to
// it. A probability that rounding put on the other side of the threshold (an error below 1e-6) is moved to the mask's side:
// mask == (probability > threshold) holds exactly.
struct Decision {
  float cut, threshold, above;  // above: the smallest float greater than threshold
};

inline Decision decision_of(const UpsampleMask& op) {
  const double threshold = op.threshold;
  const bool of_logit = op.domain == UpsampleOf::kLogit;
  return {of_logit ? static_cast<float>(std::log(threshold / (1 - threshold))) : op.threshold, op.threshold,
          std::nextafter(op.threshold, 1.0f)};
}

// NaN stays NaN.
MFS_PORTABLE float on_side_of(float probability, bool object, const Decision& d) {
  const float at_least = probability < d.above ? d.above : probability;
  const float at_most = probability > d.threshold ? d.threshold : probability;
  return object ? at_least : at_most;
}

}  // namespace mfs::core
