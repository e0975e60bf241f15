#include "runtime/range_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/element.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

constexpr int kSteps = 255;

}  // namespace

void Histogram::grow(float value) {
  if (!std::isfinite(value)) throw Error(Code::kUnsupported, "an activation is infinite or not a number: it has no range");
  for (; value >= end_; end_ *= 2) {
    for (int b = 0; b < kBins / 2; ++b) counts_[b] = counts_[2 * b] + counts_[2 * b + 1];
    std::fill(counts_.begin() + kBins / 2, counts_.end(), 0);
  }
}

void Histogram::add(const View& values) {
  const Shape& s = values.shape;
  for (std::int64_t r = 0; r < std::int64_t{s.n} * s.h; ++r) {
    const float* pixel = row_of<float>(values, r);
    for (int x = 0; x < s.w; ++x, pixel += values.pitch)
      for (int c = 0; c < s.c; ++c) {
        if (!(pixel[c] < end_)) grow(pixel[c]);
        ++counts_[static_cast<std::size_t>(pixel[c] / end_ * kBins)];
      }
  }
}

// Every value stands for the middle of its bin, but those of the first for 0: most are.
float Histogram::range() const {
  int used = kBins;
  while (used > 1 && counts_[static_cast<std::size_t>(used - 1)] == 0) --used;
  const double width = static_cast<double>(end_) / kBins;
  double least = std::numeric_limits<double>::infinity();
  int best = used;
  for (int bins = used; bins > used / 16; bins -= std::max(1, used / 256)) {
    const double step = bins * width / kSteps;
    double error = 0;
    for (int b = 1; b < used; ++b) {
      const double value = (b + 0.5) * width, kept = std::min(std::nearbyint(value / step), double{kSteps}) * step;
      error += static_cast<double>(counts_[static_cast<std::size_t>(b)]) * (value - kept) * (value - kept);
    }
    if (error < least) least = error, best = bins;
  }
  return static_cast<float>(best * width);
}

Calibration RangeStatistics::calibration() const {
  if (photos_ == 0) throw Error(Code::kInvalidArgument, "no photo has been observed");
  Calibration result{.photos = photos_, .ranges = {}};
  for (const auto& [name, histogram] : histograms_) result.ranges[name] = histogram.range();
  return result;
}

}  // namespace mfs::core
