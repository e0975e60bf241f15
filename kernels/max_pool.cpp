#include "kernels/max_pool.h"

#include "kernels/check.h"

namespace mfs::core {

int pooled_size(int size, int kernel, int stride, int pad, bool ceil_mode) {
  const int room = size + 2 * pad - kernel + (ceil_mode ? stride - 1 : 0);
  if (room < 0) return 0;
  const int count = room / stride + 1;
  const bool last_starts_outside = ceil_mode && (count - 1) * stride >= size + pad;
  return count - (last_starts_outside ? 1 : 0);
}

Status check(const MaxPool& op) {
  constexpr const char* kOp = "max_pool";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "dst", op.dst); !s) return s;
  if (op.kernel < 1 || op.stride < 1) return refuse(kOp, "kernel and stride must be at least 1");
  if (op.pad < 0 || op.pad > op.kernel / 2) return refuse(kOp, "padding must be between 0 and half the kernel");
  const Shape& in = op.src.shape;
  const Shape expected{in.n, pooled_size(in.h, op.kernel, op.stride, op.pad, op.ceil_mode),
                       pooled_size(in.w, op.kernel, op.stride, op.pad, op.ceil_mode), in.c};
  if (expected.h < 1 || expected.w < 1) return refuse(kOp, "the window is larger than src with its padding");
  return check_shape(kOp, "dst", op.dst, expected);
}

Cost cost(const MaxPool& op) { return {op.src.bytes(), op.dst.bytes(), op.dst.shape.elements() * (op.kernel * op.kernel - 1)}; }

}  // namespace mfs::core
