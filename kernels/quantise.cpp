#include "kernels/quantise.h"

#include <cmath>

#include "kernels/check.h"

namespace mfs::core {

Status check(const Quantise& op) {
  constexpr const char* kOp = "quantise";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (!is_narrow(op.dst.dtype)) return refuse(kOp, std::string("dst is ") + name_of(op.dst.dtype) + ", not u8 or e4m3");
  if (op.dst.data == nullptr) return refuse(kOp, "dst has no data");
  if (op.dst.pitch < op.dst.shape.c) return refuse(kOp, "dst has a pitch below its channels");
  if (!(op.scale > 0) || !std::isfinite(op.scale)) return refuse(kOp, "the scale is not above 0");
  return check_shape(kOp, "dst", op.dst, op.src.shape);
}

Cost cost(const Quantise& op) { return {op.src.bytes(), op.dst.bytes(), op.src.shape.elements()}; }

}  // namespace mfs::core
