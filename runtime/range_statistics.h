// How large the activations of a network get on some photos: the ranges of int8.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "kernels/tensor_view.h"
#include "weights/calibration.h"

namespace mfs::core {

// The largest value of each name. Cutting the few largest off, so that all others lose less, costs small objects more than it
// gains: mean IoU on 400 objects of COCO, mfs-small, 56 photos for calibration: 0.34 points below f32 with the ranges of least
// mean square error, 0.21 with these; on DUTS-TE and DAVIS both stay within 0.1 (November 2026).
class RangeStatistics {
 public:
  // Values that are not negative, f32, any pitch. Throws Error(kUnsupported) for an infinity or a NaN.
  void add(const std::string& name, const View& values);
  void count_photos(int photos) { photos_ += photos; }
  Calibration calibration() const;  // throws Error(kInvalidArgument) when no photo was counted

 private:
  int photos_ = 0;
  std::map<std::string, float, std::less<>> ranges_;
};

}  // namespace mfs::core
