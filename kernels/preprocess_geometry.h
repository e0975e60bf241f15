// What the bodies of preprocess share: the resize filter, the colours' affine map, the guidance map's constants.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/portable.h"
#include "kernels/preprocess.h"

namespace mfs::core {

// Triangle filter of one axis, PyTorch's window rule: in float where PyTorch works in float, because its rounding of the centre
// decides digits that networks saw when they were trained. No product meets a sum, so a GPU gets the same bits.
struct TriangleFilter {
  float scale, support, inverse;
  int src;

  MFS_PORTABLE TriangleFilter(int src_size, int dst_size)
      : scale(static_cast<float>(src_size) / static_cast<float>(dst_size)),
        support(scale > 1.0f ? scale : 1.0f),
        inverse(1.0f / support),
        src(src_size) {}

  int most() const { return static_cast<int>(std::ceil(support)) * 2 + 1; }  // weights of a position
};

// Output i is the weighted mean of `count` source positions from `first` on.
struct FilterWindow {
  float center;
  int first, count;
};

MFS_PORTABLE FilterWindow window_at(const TriangleFilter& f, int i) {
  FilterWindow w;
  w.center = static_cast<float>(f.scale * (i + 0.5));
  const int first = static_cast<int>(w.center - f.support + 0.5), end = static_cast<int>(w.center + f.support + 0.5);
  w.first = first > 0 ? first : 0;
  w.count = (end < f.src ? end : f.src) - w.first;
  return w;
}

// Of source position first + j, before the weights are divided by their sum.
MFS_PORTABLE float weight_at(const TriangleFilter& f, const FilterWindow& w, int j) {
  const float signed_distance = static_cast<float>((static_cast<float>(j + w.first) - w.center + 0.5) * f.inverse);
  const float distance = signed_distance < 0 ? -signed_distance : signed_distance;
  return distance < 1.0f ? 1.0f - distance : 0.0f;
}

// What turns sums of bytes into network input: value[k] = sum[source[k]] * gain[k] + offset[k].
struct Colour {
  int step;       // values per photo pixel
  int source[3];  // where R, G and B are among them
  float gain[3], offset[3];
};

inline Colour colour_of(const Preprocess& op) {
  Colour colour{channels_of(op.image.format), {0, 1, 2}, {}, {}};
  if (op.image.format == PixelFormat::kGrey) std::fill_n(colour.source, 3, 0);
  if (op.image.format == PixelFormat::kBgr) std::swap(colour.source[0], colour.source[2]);
  for (int k = 0; k < 3; ++k) {
    colour.gain[k] = static_cast<float>(1 / (255.0 * op.std[k]));
    colour.offset[k] = static_cast<float>(-double{op.mean[k]} / op.std[k]);
  }
  return colour;
}

// The exponent of either Gaussian per squared distance.
inline double gaussian_factor(const Guidance& g) {
  const double square = double{g.parameter} * g.parameter;
  return g.kind == Guidance::Kind::kGaussianFwhm ? -4 * std::numbers::ln2 / square : -0.5 / square;
}

}  // namespace mfs::core
