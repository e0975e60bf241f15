// Intersection over union, and how sure its mean is.
#pragma once

#include <cstddef>
#include <span>

#include "mfs/mfs.hpp"

namespace mfs::tools {

// Object pixels of both over object pixels of either; pixels that `truth` marks as ignored (128) count for neither. 1 when the
// union is empty. The masks have the same size.
double intersection_over_union(const Mask& truth, const Mask& prediction);

double mean(std::span<const double> values);  // of at least one

// 95% percentile bootstrap interval of the mean: 2000 resamples with a fixed seed, so the same values give the same interval.
struct Interval {
  double low = 0, high = 0;
};
Interval bootstrap_interval(std::span<const double> values);  // of at least one

}  // namespace mfs::tools
