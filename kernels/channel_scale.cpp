#include "kernels/channel_scale.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const ChannelScale& op) {
  constexpr const char* kOp = "channel_scale";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "dst", op.dst); !s) return s;
  if (Status s = check_shape(kOp, "dst", op.dst, op.src.shape); !s) return s;
  if (Status s = check_dense_f32(kOp, "gate", op.gate); !s) return s;
  if (Status s = check_shape(kOp, "gate", op.gate, {op.src.shape.n, 1, 1, op.src.shape.c}); !s) return s;
  if (!op.residual) return {};
  if (Status s = check_tensor(kOp, "residual", op.residual); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "residual", op.residual); !s) return s;
  return check_shape(kOp, "residual", op.residual, op.src.shape);
}

Cost cost(const ChannelScale& op) {
  const std::int64_t per_element = 1 + (op.residual ? 1 : 0) + (op.relu ? 1 : 0);
  return {op.src.bytes() + op.gate.bytes() + (op.residual ? op.residual.bytes() : 0), op.dst.bytes(),
          op.src.shape.elements() * per_element};
}

}  // namespace mfs::core
