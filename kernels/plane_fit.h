// The affine functions of a guided filter, for both backends: the fit within one window, and the value at a pixel.
#pragma once

#include "kernels/portable.h"

namespace mfs::core {

// Of the values of a window: means of the guide's three colours and of the filtered value; covariances of the colours (rr, rg,
// rb, gg, gb, bb) and of each with the value.
struct WindowStatistics {
  float mean[4], covariance[6], cross[3];
};

// a[0..2] and a[3] = b, see GuidedFilter. The matrix is decomposed into L D L^T: its inverse by minors would lose all digits of
// grey photos, whose colours vary together.
MFS_PORTABLE void fit_plane(const WindowStatistics& s, float epsilon, float (&a)[4]) {
  const float d0 = s.covariance[0] + epsilon, l10 = s.covariance[1] / d0, l20 = s.covariance[2] / d0;
  const float d1 = s.covariance[3] + epsilon - l10 * s.covariance[1], t = s.covariance[4] - l20 * s.covariance[1];
  const float l21 = t / d1, d2 = s.covariance[5] + epsilon - l20 * s.covariance[2] - l21 * t;
  const float y0 = s.cross[0], y1 = s.cross[1] - l10 * y0, y2 = s.cross[2] - l20 * y0 - l21 * y1;
  a[2] = y2 / d2;
  a[1] = y1 / d1 - l21 * a[2];
  a[0] = y0 / d0 - l10 * a[1] - l20 * a[2];
  a[3] = s.mean[3] - a[0] * s.mean[0] - a[1] * s.mean[1] - a[2] * s.mean[2];
}

// The coefficients at a pixel of the photo and its colours. NaN stays NaN. Every product can be fused with a sum in one way
// only, so a value is the same in every loop that computes it.
MFS_PORTABLE float guided_probability(float of_r, float of_g, float of_b, float constant, int r, int g, int b) {
  const auto centred = [](int byte) { return static_cast<float>(byte) * (1 / 255.0f) - 0.5f; };
  const float value = of_r * centred(r) + (of_g * centred(g) + (of_b * centred(b) + constant));
  const float at_most_one = value > 1 ? 1.0f : value;
  return at_most_one < 0 ? 0.0f : at_most_one;
}

}  // namespace mfs::core
