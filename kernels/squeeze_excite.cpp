#include "kernels/squeeze_excite.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const SqueezeExcite& op) {
  constexpr const char* kOp = "squeeze_excite";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "dst", op.dst); !s) return s;
  if (Status s = check_shape(kOp, "dst", op.dst, op.src.shape); !s) return s;
  if (op.squeeze == nullptr || op.excite == nullptr) return refuse(kOp, "there are no weights");
  if (op.hidden < 1) return refuse(kOp, "there are no hidden channels");
  if (op.sums) {
    if (Status s = check_dense_f32(kOp, "sums", op.sums); !s) return s;
    if (Status s = check_shape(kOp, "sums", op.sums, {op.src.shape.n, 1, op.sums.shape.w, op.src.shape.c}); !s) return s;
  }
  if (!op.residual) return {};
  if (Status s = check_tensor(kOp, "residual", op.residual); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "residual", op.residual); !s) return s;
  return check_shape(kOp, "residual", op.residual, op.src.shape);
}

// Without sums the source is read twice: all means must be known before the first pixel can be scaled.
Cost cost(const SqueezeExcite& op) {
  const std::int64_t elements = op.src.shape.elements(), channels = op.src.shape.c;
  const std::int64_t per_element = 2 + (op.residual ? 1 : 0) + (op.relu ? 1 : 0), weights = 2 * channels * op.hidden;
  return {
      (op.sums ? op.src.bytes() + op.sums.bytes() : 2 * op.src.bytes()) + (op.residual ? op.residual.bytes() : 0) + 4 * weights,
      op.dst.bytes(), elements * per_element + 2 * op.src.shape.n * weights};
}

}  // namespace mfs::core
