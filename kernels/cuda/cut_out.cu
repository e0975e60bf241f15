#include "kernels/cuda/photo.h"
#include "kernels/effects.h"
#include "kernels/effects_geometry.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kCutOutRows = 4;  // per thread, all loaded before the first is stored: enough bytes on their way

MFS_DEVICE uint32_t cut_out_pixel(const Photo& photo, const Map& probability, int x, int y) {
  const uint8_t* p = pixel_at(photo, x, y);
  const Pixel px = load_pixel(photo, p);
  int alpha = soft_alpha(value_at(probability, x, y));
  if (photo.alpha >= 0) {
    const int product = alpha * simt::load(p + photo.alpha) + 128;
    alpha = (product + (product >> 8)) >> 8;  // the nearest integer to product / 255
  }
  return packed_rgb(px.r, px.g, px.b) | static_cast<uint32_t>(alpha) << 24;
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kStripWidth) cut_out_kernel(Photo photo, Map probability, MutPhoto dst) {
  simt::grid_dependency_wait();
  const auto [x, first] = strip_position(photo.width, kCutOutRows);
  if (x >= photo.width) return;
  uint32_t rgba[kCutOutRows];
  MFS_UNROLL
  for (int i = 0; i < kCutOutRows; ++i) {
    const int y = first + i < photo.height ? first + i : photo.height - 1;
    rgba[i] = cut_out_pixel(photo, probability, x, y);
  }
  MFS_UNROLL
  for (int i = 0; i < kCutOutRows; ++i) {
    if (first + i >= photo.height) return;
    uint8_t* p = dst.data + (first + i) * dst.row_stride + 4 * int64_t{x};
    if (dst.words) {
      simt::store(reinterpret_cast<uint32_t*>(p), rgba[i]);
    } else {
      for (int c = 0; c < 4; ++c) simt::store(p + c, static_cast<uint8_t>(rgba[i] >> 8 * c));
    }
  }
}

}  // namespace
}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const CutOut& e) {
  if (Status s = check(e); !s) return s;
  if (Status s = check_items("cut_out", strips_of(e.image.width, e.image.height, kCutOutRows)); !s) return s;
  return simt::launch(stream_of(cuda), strips_for("cut_out", e.image.width, e.image.height, kCutOutRows), cut_out_kernel,
                      photo_of(e.image), map_of(e.probability), photo_of(e.dst));
}

}  // namespace mfs::core
