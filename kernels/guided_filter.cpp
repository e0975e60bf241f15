#include "kernels/guided_filter.h"

#include <cmath>

#include "kernels/check.h"

namespace mfs::core {

Status check(const GuidedFilter& op) {
  constexpr const char* kOp = "guided_filter";
  if (Status s = check_dense_f32(kOp, "guide", op.guide); !s) return s;
  if (Status s = check_dense_f32(kOp, "value", op.value); !s) return s;
  if (Status s = check_dense_f32(kOp, "dst", op.dst); !s) return s;
  const int h = op.guide.shape.h, w = op.guide.shape.w;
  if (Status s = check_shape(kOp, "guide", op.guide, {1, h, w, 4}); !s) return s;
  if (Status s = check_shape(kOp, "value", op.value, {1, h, w, 1}); !s) return s;
  if (Status s = check_shape(kOp, "dst", op.dst, {1, h, w, 4}); !s) return s;
  if (op.radius < 1 || op.radius > kMostFilterRadius) {
    return refuse(kOp, "the radius must be 1 to " + std::to_string(kMostFilterRadius) + ", not " + std::to_string(op.radius));
  }
  if (!(op.epsilon >= kLeastFilterEpsilon) || !std::isfinite(op.epsilon)) {
    return refuse(kOp, "epsilon must be 1e-5 or more, not " + std::to_string(op.epsilon));
  }
  return {};
}

Cost cost(const GuidedFilter& op) {
  const std::int64_t side = 2 * op.radius + 1, pixels = op.guide.shape.pixels();
  // 13 products and 4 coefficients, summed along either axis; the fit is about 60 operations.
  return {op.guide.bytes() + op.value.bytes(), op.dst.bytes(), pixels * (2 * 17 * side + 60)};
}

}  // namespace mfs::core
