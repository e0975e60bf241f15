#include "kernels/cuda/prior_nodes.h"

#include <algorithm>

namespace mfs::core {
namespace {

// lerp_at() between pixels, too, and its inverse.
Lerp lerp_between(double at, int bins, int pixels, bool align_corners) {
  double position = 0;
  if (!align_corners) {
    position = (at + 0.5) * bins / pixels - 0.5;
  } else if (pixels > 1) {
    position = at * (bins - 1) / (pixels - 1);
  }
  position = std::clamp(position, 0.0, bins - 1.0);
  const int lo = static_cast<int>(position);
  return {lo, std::min(lo + 1, bins - 1), static_cast<float>(position - lo)};
}

double place_of(int value, int bins, int pixels, bool align_corners) {
  if (!align_corners) return (value + 0.5) * pixels / bins - 0.5;
  return bins > 1 ? static_cast<double>(value) * (pixels - 1) / (bins - 1) : 0.0;
}

// Of more values than pixels, some lie outside the first and the last pixel, where nobody looks.
std::vector<double> all_places(int pixels, std::span<const int> bins, bool align_corners) {
  std::vector<double> places{0};
  for (const int b : bins)
    for (int value = 0; b > 1 && value < b; ++value)
      places.push_back(std::clamp(place_of(value, b, pixels, align_corners), 0.0, pixels - 1.0));
  std::ranges::sort(places);
  // Different places are further apart than that; equal ones differ by roundings.
  constexpr double kSame = 1e-6;
  const auto same = [](double a, double b) { return b - a < kSame; };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
  return places;
}

}  // namespace

PriorNodes prior_nodes(int pixels, std::span<const int> bins, bool align_corners) {
  const std::vector<double> places = all_places(pixels, bins, align_corners);
  PriorNodes nodes{static_cast<int>(places.size()), {}, {}};
  for (int x = 0; x < pixels; ++x) {
    const auto after = std::ranges::upper_bound(places, x);
    const auto lo = static_cast<int>(after - places.begin()) - 1;
    if (after == places.end()) {
      nodes.pixels.push_back({lo, lo, 0});
    } else {
      const double left = after[-1];
      const auto t = static_cast<float>((x - left) / (*after - left));
      nodes.pixels.push_back({lo, t > 0 ? lo + 1 : lo, t});
    }
  }
  for (const double at : places)
    for (const int b : bins) nodes.places.push_back(lerp_between(at, b, pixels, align_corners));
  return nodes;
}

int most_nodes(const PriorNodes& nodes, int run) {
  const auto pixels = static_cast<int>(nodes.pixels.size());
  int most = 0;
  for (int first = 0; first < pixels; first += run) {
    const Lerp &begin = nodes.pixels[static_cast<std::size_t>(first)],
               &last = nodes.pixels[static_cast<std::size_t>(std::min(first + run, pixels) - 1)];
    most = std::max(most, last.hi - begin.lo + 1);
  }
  return most;
}

}  // namespace mfs::core
