#include "kernels/concat.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const Concat& op) {
  constexpr const char* kOp = "concat";
  if (op.srcs.empty()) return refuse(kOp, "there is nothing to concatenate");
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  std::int64_t channels = 0;
  for (const View& src : op.srcs) {
    if (Status s = check_tensor(kOp, "a source", src); !s) return s;
    if (Status s = check_same_dtype(kOp, "a source", src, "dst", op.dst); !s) return s;
    const Shape& d = op.dst.shape;
    if (Status s = check_shape(kOp, "a source", src, {d.n, d.h, d.w, src.shape.c}); !s) return s;
    channels += src.shape.c;
  }
  if (channels != op.dst.shape.c) {
    return refuse(kOp, "the sources have " + std::to_string(channels) + " channels, dst has " + std::to_string(op.dst.shape.c));
  }
  return {};
}

Cost cost(const Concat& op) { return {op.dst.bytes(), op.dst.bytes(), 0}; }

}  // namespace mfs::core
