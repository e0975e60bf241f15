#include "kernels/effects.h"

#include <cmath>
#include <string>

namespace mfs::core {
namespace {

constexpr float kMaxBlurRadius = 1000;

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

// What every effect asks of its three pictures.
Status check_pictures(const ImageView& image, const MapView& probability, const MutImageView& dst, PixelFormat dst_format) {
  if (!image.data || !probability.data || !dst.data) return invalid("the effect needs a photo, a probability map and a result");
  if (image.width < 1 || image.height < 1) {
    return invalid("the photo's size " + size_text(image.width, image.height) + " is not positive");
  }
  const std::string size = size_text(image.width, image.height);
  if (probability.width != image.width || probability.height != image.height) {
    return invalid("the probability map is " + size_text(probability.width, probability.height) + ", the photo " + size);
  }
  if (dst.width != image.width || dst.height != image.height) {
    return invalid("the result is " + size_text(dst.width, dst.height) + ", the photo " + size);
  }
  if (dst.format != dst_format) {
    return invalid(std::string("the result must be ") + (dst_format == PixelFormat::kRgba ? "RGBA" : "RGB"));
  }
  const std::int64_t width = image.width;
  if (image.row_stride < width * channels_of(image.format)) return invalid("the photo's row stride is less than one row");
  if (dst.row_stride < width * channels_of(dst.format)) return invalid("the result's row stride is less than one row");
  constexpr std::int64_t kFloat = sizeof(float);
  if (probability.row_stride < width * kFloat || probability.row_stride % kFloat != 0) {
    return invalid("the probability map's row stride is less than one row or not a multiple of 4");
  }
  if (image.data == dst.data) return invalid("the result must not be the photo itself");
  return {};
}

Cost pictures_cost(const ImageView& image, const MutImageView& dst, std::int64_t flops_per_pixel) {
  const std::int64_t pixels = std::int64_t{image.width} * image.height;
  return {pixels * (channels_of(image.format) + std::int64_t{sizeof(float)}), pixels * channels_of(dst.format),
          pixels * flops_per_pixel};
}

}  // namespace

Status check(const CutOut& e) { return check_pictures(e.image, e.probability, e.dst, PixelFormat::kRgba); }

Status check(const BackgroundBlur& e) {
  if (Status s = check_pictures(e.image, e.probability, e.dst, PixelFormat::kRgb); !s) return s;
  if (!(e.radius >= 0 && e.radius <= kMaxBlurRadius)) {
    return invalid("the blur radius " + std::to_string(e.radius) + " is not between 0 and 1000 pixels");
  }
  return {};
}

Status check(const Overlay& e) {
  if (Status s = check_pictures(e.image, e.probability, e.dst, PixelFormat::kRgb); !s) return s;
  if (!(e.threshold > 0 && e.threshold < 1)) {
    return invalid("the threshold " + std::to_string(e.threshold) + " is not between 0 and 1");
  }
  for (std::size_t i = 0; i < e.taps.size(); ++i) {
    if (!std::isfinite(e.taps[i].x) || !std::isfinite(e.taps[i].y)) {
      return invalid("Tap " + std::to_string(i + 1) + " has a coordinate that is not a finite number.");
    }
  }
  return {};
}

// Arithmetic counts are those of the definition: opacity and blend; nine neighbours' distances for the contour; for the blur
// opacity, weighting, normalising and blending, the disc itself being a matter of the grid it is computed on.
Cost cost(const CutOut& e) { return pictures_cost(e.image, e.dst, 4); }
Cost cost(const BackgroundBlur& e) { return pictures_cost(e.image, e.dst, 32); }
Cost cost(const Overlay& e) { return pictures_cost(e.image, e.dst, 9 * 5 + 12); }

}  // namespace mfs::core
