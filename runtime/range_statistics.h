// How large the activations of a network get on some photos: the ranges of int8 and fp8.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "kernels/tensor_view.h"
#include "weights/calibration.h"

namespace mfs::core {

// The largest value of each name. Nothing is cut off to make the steps of the rest finer: it is at small objects that the few
// largest values are needed.
class RangeStatistics {
 public:
  // Values that are not negative, f32, any pitch. Throws Error(kUnsupported) for a NaN or more than kLargestRange.
  void add(const std::string& name, const View& values);
  void count_photos(int photos) { photos_ += photos; }
  Calibration calibration() const;  // throws Error(kInvalidArgument) when no photo was counted

 private:
  int photos_ = 0;
  std::map<std::string, float, std::less<>> ranges_;
};

}  // namespace mfs::core
