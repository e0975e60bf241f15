#include "kernels/preprocess.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace mfs::core {
namespace {

constexpr const char* kOp = "preprocess";

Status check_guidance(const Guidance& guidance, std::span<const Point> taps) {
  if (guidance.kind == Guidance::Kind::kNone) return {};
  if (!(guidance.parameter > 0) || !std::isfinite(guidance.parameter) || !std::isfinite(guidance.scale)) {
    return refuse(kOp, "guidance needs a positive sigma, clip or radius and a finite scale");
  }
  if (taps.empty()) return refuse(kOp, "there is no tap");
  for (const Point& tap : taps) {
    if (!std::isfinite(tap.x) || !std::isfinite(tap.y)) return refuse(kOp, "a tap is not finite");
  }
  return {};
}

// Source pixels that one output pixel is made of, on average.
std::int64_t taps_per_output(int src, int dst) { return std::max(2 * std::int64_t{src} / dst, std::int64_t{2}); }

}  // namespace

Status check(const Preprocess& op) {
  if (Status s = check_image(kOp, op.image); !s) return s;
  if (Status s = check_tensor(kOp, "dst", op.dst); !s) return s;
  // Without a guidance map a fourth channel is allowed: convolutions on the GPU like four better than three.
  const int channels = op.guidance.kind == Guidance::Kind::kNone && op.dst.shape.c != 4 ? 3 : 4;
  if (Status s = check_shape(kOp, "dst", op.dst, {1, op.dst.shape.h, op.dst.shape.w, channels}); !s) return s;
  for (int c = 0; c < 3; ++c) {
    if (!(op.std[c] > 0) || !std::isfinite(op.std[c]) || !std::isfinite(op.mean[c])) {
      return refuse(kOp, "mean must be finite, std finite and positive");
    }
  }
  return check_guidance(op.guidance, op.taps);
}

Cost cost(const Preprocess& op) {
  const std::int64_t channels = channels_of(op.image.format), h = op.dst.shape.h, w = op.dst.shape.w;
  const std::int64_t vertical = h * op.image.width * channels * taps_per_output(op.image.height, op.dst.shape.h);
  const std::int64_t horizontal = h * w * channels * taps_per_output(op.image.width, op.dst.shape.w);
  return {channels * op.image.height * op.image.width, op.dst.bytes(), 2 * (vertical + horizontal)};
}

}  // namespace mfs::core
