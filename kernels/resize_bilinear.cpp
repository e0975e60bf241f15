#include "kernels/resize_bilinear.h"

#include <algorithm>

#include "kernels/check.h"

namespace mfs::core {

// In double: t keeps float precision even where the position is in the thousands.
Lerp lerp_at(int i, int src_size, int dst_size, bool align_corners) {
  double position = 0;
  if (!align_corners) {
    position = std::max(0.0, (i + 0.5) * src_size / dst_size - 0.5);
  } else if (dst_size > 1) {
    position = static_cast<double>(i) * (src_size - 1) / (dst_size - 1);
  }
  position = std::min(position, src_size - 1.0);
  const int lo = static_cast<int>(position);
  return {lo, std::min(lo + 1, src_size - 1), static_cast<float>(position - lo)};
}

Status check(const ResizeBilinear& op) {
  constexpr const char* kOp = "resize_bilinear";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  if (Status s = check_same_dtype(kOp, "src", op.src, "dst", op.dst); !s) return s;
  return check_shape(kOp, "dst", op.dst, {op.src.shape.n, op.dst.shape.h, op.dst.shape.w, op.src.shape.c});
}

Cost cost(const ResizeBilinear& op) { return {op.src.bytes(), op.dst.bytes(), op.dst.shape.elements() * 8}; }

}  // namespace mfs::core
