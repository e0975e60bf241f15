#include "kernels/conv.h"

#include <cmath>

#include "kernels/check.h"

namespace mfs::core {
namespace {

Status check_pitch(const char* name, int pitch, int channels) {
  if (pitch == 0 || pitch >= channels) return {};
  return refuse("conv",
                std::string(name) + " has " + std::to_string(channels) + " channels but a pitch of " + std::to_string(pitch));
}

Status check_joined(const Conv& op) {
  const Shape& j = op.joined;
  if (j.c == 0) return {};
  if (op.joined_stride < 1) return refuse("conv", "the stride of joined must be at least 1");
  const auto fits = [&](int size, int wanted) { return size >= 1 && conv_size(size, 1, op.joined_stride, 1, 0) == wanted; };
  if (j.c < 0 || j.n != op.dst.n || !fits(j.h, op.dst.h) || !fits(j.w, op.dst.w)) {
    return refuse("conv", "joined is " + to_string(j) + ", which stride " + std::to_string(op.joined_stride) +
                              " does not turn into dst's " + to_string(op.dst));
  }
  return check_pitch("joined", op.joined_pitch, j.c);
}

Status check_scales(const Conv& op) {
  const auto is_scale = [](float s) { return s > 0 && std::isfinite(s); };
  if (!is_narrow(op.dtype)) {
    if (op.src_scale == 0 && op.joined_scale == 0 && op.dst_scale == 0 && op.copy_scale == 0) return {};
    return refuse("conv", std::string("there is a scale, but the element type is ") + name_of(op.dtype) + ", not u8 or e4m3");
  }
  if (!is_floating(op.wide))
    return refuse("conv", std::string("the wide type is ") + name_of(op.wide) + ", not f32, f16 or bf16");
  if (!is_scale(op.src_scale)) return refuse("conv", "src is narrow without a scale above 0");
  if (op.joined.c > 0 && !is_scale(op.joined_scale)) return refuse("conv", "joined is narrow without a scale above 0");
  if (op.copy_scale != 0 && !is_scale(op.copy_scale)) return refuse("conv", "the scale of the copy is not above 0");
  if (op.dst_scale == 0) return {};
  if (op.sums) return refuse("conv", "sums need a dst of the wide type");
  if (op.copy_scale != 0) return refuse("conv", "a narrow copy needs a dst of the wide type");
  if (!is_scale(op.dst_scale)) return refuse("conv", "the scale of dst is not above 0");
  return op.residual ? refuse("conv", "a residual needs a dst of the wide type") : Status();
}

}  // namespace

Status check(const Conv& op) {
  constexpr const char* kOp = "conv";
  const Shape &in = op.src, &out = op.dst;
  if (in.n < 1 || in.h < 1 || in.w < 1 || in.c < 1) return refuse(kOp, "src is empty: " + to_string(in));
  if (out.c < 1) return refuse(kOp, "dst has no channels: " + to_string(out));
  if (op.kernel < 1 || op.stride < 1 || op.dilation < 1) return refuse(kOp, "kernel, stride and dilation must be at least 1");
  if (op.pad < 0) return refuse(kOp, "padding must not be negative");
  if (!is_floating(op.dtype) && !is_narrow(op.dtype))
    return refuse(kOp, std::string("the element type is ") + name_of(op.dtype) + ", not f32, f16, bf16, u8 or e4m3");
  if (Status s = check_scales(op); !s) return s;
  const int reach = op.dilation * (op.kernel - 1) + 1;
  if (in.h + 2 * op.pad < reach || in.w + 2 * op.pad < reach) {
    return refuse(kOp, "the kernel reaches over " + std::to_string(reach) + " pixels, more than src " + to_string(in) +
                           " with its padding");
  }
  const Shape expected{in.n, conv_size(in.h, op.kernel, op.stride, op.dilation, op.pad),
                       conv_size(in.w, op.kernel, op.stride, op.dilation, op.pad), out.c};
  if (out != expected) return refuse(kOp, "dst is " + to_string(out) + ", expected " + to_string(expected));
  if (Status s = check_pitch("src", op.src_pitch, in.c); !s) return s;
  if (Status s = check_pitch("dst", op.dst_pitch, out.c); !s) return s;
  if (!op.residual && op.residual_pitch != 0) return refuse(kOp, "there is a residual pitch but no residual");
  if (Status s = check_pitch("residual", op.residual_pitch, out.c); !s) return s;
  return check_joined(op);
}

Cost cost(const Conv& op) {
  const auto element = static_cast<std::int64_t>(size_of(op.dtype)), stored = static_cast<std::int64_t>(size_of(dst_dtype(op)));
  const std::int64_t filter = std::int64_t{op.src.c} * op.kernel * op.kernel + op.joined.c;  // weights of one output channel
  const std::int64_t out = op.dst.elements();
  return {(op.src.elements() + out / op.dst.c * op.joined.c + filter * op.dst.c) * element + (op.residual ? out : 0) * stored +
              op.dst.c * 4,
          out * stored + (op.copy_scale > 0 ? out : 0), 2 * out * filter};
}

}  // namespace mfs::core
