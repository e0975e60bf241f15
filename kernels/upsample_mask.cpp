#include "kernels/upsample_mask.h"

#include "kernels/check.h"
#include "kernels/mask_outputs.h"

namespace mfs::core {

Status check(const UpsampleMask& op) {
  constexpr const char* kOp = "upsample_mask";
  if (Status s = check_dense_f32(kOp, "logit", op.logit); !s) return s;
  if (Status s = check_shape(kOp, "logit", op.logit, {1, op.logit.shape.h, op.logit.shape.w, op.logit.shape.c}); !s) return s;
  if (op.width < 1 || op.height < 1) {
    return refuse(kOp, "the output is empty: " + std::to_string(op.width) + "x" + std::to_string(op.height));
  }
  return check_mask_outputs(kOp, op, op.width);
}

Cost cost(const UpsampleMask& op) {
  const std::int64_t pixels = std::int64_t{op.width} * op.height;
  const std::int64_t sigmoids = op.domain == UpsampleOf::kProbability ? op.logit.shape.pixels()
                                : op.probability != nullptr           ? pixels
                                                                      : 0;
  const std::int64_t per_pixel = (op.probability == nullptr ? 0 : 4) + (op.mask == nullptr ? 0 : 1);
  return {op.logit.bytes(), pixels * per_pixel, pixels * 3 + sigmoids * 20};  // a sigmoid is about 20 operations
}

}  // namespace mfs::core
