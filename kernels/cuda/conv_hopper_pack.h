// The parameters of the Hopper family's convolutions, as its kernels read them.
#pragma once

#include <vector>

#include "kernels/cuda/conv_hopper_plan.h"
#include "kernels/cuda/conv_weights.h"
#include "kernels/narrow_weights.h"

namespace mfs::core {

// Rows of K for every output channel: taps, then joined, each times its scale and padded with zeros to whole steps.
template <typename Element>
std::vector<Element> rows_of_k(const Conv& c, const HopperGeometry& g, const ConvF32Parameters& from, float src_scale,
                               float joined_scale) {
  const int taps = c.kernel * c.kernel;
  const std::int64_t row = std::int64_t{g.steps} * g.depth;
  std::vector<Element> to(static_cast<std::size_t>(c.dst.c * row), Element(0.0f));
  for (std::int64_t o = 0; o < c.dst.c; ++o) {
    Element* k = to.data() + o * row;
    for (int tap = 0; tap < taps; ++tap, k += g.chunks * g.depth) {
      for (int i = 0; i < c.src.c; ++i)
        k[i] = Element(from.weights[static_cast<std::size_t>((o * c.src.c + i) * taps + tap)] * src_scale);
    }
    for (int i = 0; i < c.joined.c; ++i)
      k[i] = Element(from.joined[static_cast<std::size_t>(o * c.joined.c + i)] * joined_scale);
  }
  return to;
}

// With zeros up to the end of the last cluster's tiles.
inline std::vector<float> for_whole_tiles(std::vector<float> v) {
  constexpr std::size_t kWidestColumns = 4 * 256;  // of a cluster
  v.resize((v.size() + kWidestColumns - 1) / kWidestColumns * kWidestColumns);
  return v;
}

template <typename Element>
std::shared_ptr<const ConvWeights> packed(const Conv& c, const HopperGeometry& g, const ConvParameters& parameters) {
  const ConvF32Parameters from(c, parameters);
  return on_device(rows_of_k<Element>(c, g, from, 1, 1), for_whole_tiles(from.bias));
}

// int8 and fp8: both sources' scales become part of the weights before these are rounded, so that one scale fits the whole sum.
template <typename Rounded>
std::shared_ptr<const ConvWeights> packed_narrow(const Conv& c, const HopperGeometry& g, const ConvParameters& parameters) {
  const ConvF32Parameters from(c, parameters);
  const std::vector<float> rows = rows_of_k<float>(c, g, from, c.src_scale, c.joined_scale);
  std::vector<Rounded> rounded(rows.size());
  std::vector<float> scales(static_cast<std::size_t>(c.dst.c));
  const std::int64_t row = std::int64_t{g.steps} * g.depth;
  round_weights(rows.data(), c.dst.c, row, rounded.data(), scales.data());
  return on_device(rounded, for_whole_tiles(from.bias), for_whole_tiles(scales));
}

}  // namespace mfs::core
