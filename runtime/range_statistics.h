// How large the activations of a network get: distributions, gathered over photos, and the ranges that int8 makes of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernels/tensor_view.h"
#include "weights/calibration.h"

namespace mfs::core {

// Of values that are not negative: how many lie in each of kBins equal parts of [0, end). `end` is a power of two that doubles
// when it must, so that the order of the values does not matter.
class Histogram {
 public:
  void add(const View& values);  // f32, any pitch; throws Error(kUnsupported) for an infinity or a NaN
  // The range [0, r] whose 255 steps lose least: the mean square of what rounding and clamping change is smallest.
  float range() const;

 private:
  static constexpr int kBins = 4096;
  void grow(float value);

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(kBins);
  float end_ = 0x1p-20f;
};

class RangeStatistics {
 public:
  void add(const std::string& name, const View& values) { histograms_[name].add(values); }
  void count_photos(int photos) { photos_ += photos; }
  Calibration calibration() const;  // throws Error(kInvalidArgument) when no photo was counted

 private:
  int photos_ = 0;
  std::map<std::string, Histogram, std::less<>> histograms_;
};

}  // namespace mfs::core
