#include "kernels/guided_mask.h"

#include "kernels/check.h"
#include "kernels/mask_outputs.h"

namespace mfs::core {

Status check(const GuidedMask& op) {
  constexpr const char* kOp = "guided_mask";
  if (Status s = check_dense_f32(kOp, "planes", op.planes); !s) return s;
  if (Status s = check_shape(kOp, "planes", op.planes, {1, op.planes.shape.h, op.planes.shape.w, 4}); !s) return s;
  if (Status s = check_image(kOp, op.image); !s) return s;
  return check_mask_outputs(kOp, op, op.image.width);
}

Cost cost(const GuidedMask& op) {
  const std::int64_t pixels = std::int64_t{op.image.width} * op.image.height;
  const std::int64_t written = (op.probability == nullptr ? 0 : 4) + (op.mask == nullptr ? 0 : 1);
  return {op.planes.bytes() + pixels * channels_of(op.image.format), pixels * written, pixels * 20};
}

}  // namespace mfs::core
