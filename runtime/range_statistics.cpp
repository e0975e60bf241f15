#include "runtime/range_statistics.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/element.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

// NaN if there is one.
float largest_of(const View& values) {
  const Shape& s = values.shape;
  float largest = 0;
  for (std::int64_t r = 0; r < std::int64_t{s.n} * s.h; ++r) {
    const float* pixel = row_of<float>(values, r);
    for (int x = 0; x < s.w; ++x, pixel += values.pitch)
      for (int c = 0; c < s.c; ++c) {
        if (std::isnan(pixel[c])) return pixel[c];
        largest = std::max(largest, pixel[c]);
      }
  }
  return largest;
}

}  // namespace

void RangeStatistics::add(const std::string& name, const View& values) {
  const float largest = largest_of(values);
  if (!(largest <= kLargestRange))
    throw Error(Code::kUnsupported, "an activation is too large or not a number: it has no range");
  float& range = ranges_.try_emplace(name, kLeastRange).first->second;
  range = std::max(range, largest);
}

Calibration RangeStatistics::calibration() const {
  if (photos_ == 0) throw Error(Code::kInvalidArgument, "no photo has been observed");
  return {photos_, ranges_};
}

}  // namespace mfs::core
