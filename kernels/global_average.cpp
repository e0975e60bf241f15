#include "kernels/global_average.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const GlobalAverage& op) {
  constexpr const char* kOp = "global_average";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (Status s = check_dense_f32(kOp, "dst", op.dst); !s) return s;
  if (Status s = check_shape(kOp, "dst", op.dst, {op.src.shape.n, 1, 1, op.src.shape.c}); !s) return s;
  if (op.scratch == nullptr) return refuse(kOp, "there is no scratch");
  return {};
}

Cost cost(const GlobalAverage& op) { return {op.src.bytes(), op.dst.bytes(), op.src.shape.elements()}; }

}  // namespace mfs::core
