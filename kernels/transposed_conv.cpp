#include "kernels/transposed_conv.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const TransposedConv& op) {
  constexpr const char* kOp = "transposed_conv";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  if (op.weights == nullptr) return refuse(kOp, "there are no weights");
  if (reinterpret_cast<std::uintptr_t>(op.weights) % 16 != 0) return refuse(kOp, "the weights are not 16-byte aligned");
  if (op.dst.dtype != DType::kF32)
    if (Status s = check_same_dtype(kOp, "src", op.src, "dst", op.dst); !s) return s;
  if (op.kernel < 1 || op.stride < 1) return refuse(kOp, "kernel and stride must be at least 1");
  if (op.pad < 0) return refuse(kOp, "padding must not be negative");
  const Shape& in = op.src.shape;
  const Shape expected{in.n, transposed_conv_size(in.h, op.kernel, op.stride, op.pad),
                       transposed_conv_size(in.w, op.kernel, op.stride, op.pad), op.dst.shape.c};
  if (expected.h < 1 || expected.w < 1) return refuse(kOp, "the padding leaves nothing of dst");
  if (Status s = check_shape(kOp, "dst", op.dst, expected); !s) return s;
  if (!op.residual) return {};
  if (Status s = check_tensor(kOp, "residual", op.residual); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "residual", op.residual); !s) return s;
  return check_shape(kOp, "residual", op.residual, expected);
}

Cost cost(const TransposedConv& op) {
  const std::int64_t taps = std::int64_t{op.kernel} * op.kernel, out = op.dst.shape.c;
  const std::int64_t weights = taps * op.src.shape.c * out * 4;
  return {op.src.bytes() + weights + (op.residual ? op.residual.bytes() : 0), op.dst.bytes(),
          2 * op.src.shape.elements() * taps * out};
}

}  // namespace mfs::core
