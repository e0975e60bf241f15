// What all operations check that write a photo's probability and mask.
#pragma once

#include "kernels/check.h"

namespace mfs::core {

// Op has threshold, probability and mask, each with a row stride in bytes.
template <typename Op>
Status check_mask_outputs(const char* operation, const Op& op, int width) {
  if (!(op.threshold > 0 && op.threshold < 1)) {
    return refuse(operation, "the threshold must lie between 0 and 1, not " + std::to_string(op.threshold));
  }
  if (op.probability == nullptr && op.mask == nullptr) return refuse(operation, "neither probability nor mask is asked for");
  if (op.probability != nullptr && (op.probability_stride < std::int64_t{4} * width || op.probability_stride % 4 != 0)) {
    return refuse(operation, "a probability row stride of " + std::to_string(op.probability_stride) + " bytes does not fit " +
                                 std::to_string(width) + " floats");
  }
  if (op.mask != nullptr && op.mask_stride < width) {
    return refuse(operation, "a mask row stride of " + std::to_string(op.mask_stride) + " bytes does not fit " +
                                 std::to_string(width) + " pixels");
  }
  return {};
}

}  // namespace mfs::core
