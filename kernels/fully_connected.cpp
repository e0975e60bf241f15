#include "kernels/fully_connected.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const FullyConnected& op) {
  constexpr const char* kOp = "fully_connected";
  if (Status s = check_dense_f32(kOp, "src", op.src); !s) return s;
  if (Status s = check_dense_f32(kOp, "dst", op.dst); !s) return s;
  if (Status s = check_shape(kOp, "src", op.src, {op.src.shape.n, 1, 1, op.src.shape.c}); !s) return s;
  if (Status s = check_shape(kOp, "dst", op.dst, {op.src.shape.n, 1, 1, op.dst.shape.c}); !s) return s;
  if (op.weights == nullptr) return refuse(kOp, "there are no weights");
  return {};
}

Cost cost(const FullyConnected& op) {
  const std::int64_t m = op.dst.shape.c, k = op.src.shape.c;
  const std::int64_t parameters = m * k + (op.bias == nullptr ? 0 : m);
  return {op.src.bytes() + parameters * 4, op.dst.bytes(), 2 * op.dst.shape.elements() * k};
}

}  // namespace mfs::core
