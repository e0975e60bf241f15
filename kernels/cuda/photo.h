// What the CUDA kernels of photo-sized pictures share: grids over pixels, pixels of any format, rows of RGB.
//
// A block covers a strip of kStripWidth columns and a few rows, a thread one column of it: whatever the row stride, a warp
// reads and writes 32 neighbouring pixels.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/element.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

inline constexpr int kStripWidth = 256;

inline int64_t strips_of(int width, int height, int rows) {
  return (int64_t{width} + kStripWidth - 1) / kStripWidth * ((int64_t{height} + rows - 1) / rows);
}

inline simt::LaunchShape strips_for(const char* name, int width, int height, int rows) {
  return threads_for(name, strips_of(width, height, rows) * kStripWidth, kStripWidth);
}

// The thread's column, perhaps beyond the picture, and the first of its rows.
struct StripPosition {
  int x, y;
};
MFS_DEVICE StripPosition strip_position(int width, int rows) {
  const uint32_t per_row = (static_cast<uint32_t>(width) + kStripWidth - 1) / kStripWidth, strip = simt::block_index().x;
  return {static_cast<int>(strip % per_row * kStripWidth + simt::thread_index().x), static_cast<int>(strip / per_row) * rows};
}

// A photo as kernels see it: where the channels of a pixel are. Grey is all three colours.
struct Photo {
  const uint8_t* data;
  int64_t row_stride;
  int width, height, step, red, blue, alpha;  // alpha: -1 when there is none
};

inline Photo photo_of(const ImageView& image) {
  const bool grey = image.format == PixelFormat::kGrey, swapped = image.format == PixelFormat::kBgr;
  return {image.data,
          image.row_stride,
          image.width,
          image.height,
          channels_of(image.format),
          swapped ? 2 : 0,
          swapped || grey ? 0 : 2,
          image.format == PixelFormat::kRgba ? 3 : -1};
}

struct Pixel {
  int r, g, b;
};

MFS_DEVICE const uint8_t* pixel_at(const Photo& photo, int x, int y) {
  return photo.data + y * photo.row_stride + int64_t{x} * photo.step;
}
MFS_DEVICE Pixel load_pixel(const Photo& photo, const uint8_t* p) {
  return {simt::load(p + photo.red), simt::load(p + (photo.step > 1 ? 1 : 0)), simt::load(p + photo.blue)};
}

struct Map {
  const float* data;
  int64_t pitch;  // floats from row to row
};
inline Map map_of(const MapView& map) { return {map.data, map.row_stride / static_cast<int64_t>(sizeof(float))}; }
MFS_DEVICE float value_at(const Map& map, int x, int y) { return simt::load(map.data + y * map.pitch + x); }

struct MutPhoto {
  uint8_t* data;
  int64_t row_stride;
  int width;
  bool words;  // every row is aligned for 32-bit accesses
};
inline MutPhoto photo_of(const MutImageView& image) {
  const bool words = reinterpret_cast<std::uintptr_t>(image.data) % 4 == 0 && image.row_stride % 4 == 0;
  return {image.data, image.row_stride, image.width, words};
}

MFS_DEVICE uint32_t packed_rgb(int r, int g, int b) { return static_cast<uint32_t>(r | g << 8 | b << 16); }

// For whole warps with neighbouring pixels in neighbouring lanes, x of the first a multiple of 32. 24 lanes write 32 pixels a
// word each: bytes one at a time would cost three times the transactions.
MFS_DEVICE void store_rgb(const MutPhoto& dst, int x, int y, uint32_t rgb) {
  uint8_t* row = dst.data + y * dst.row_stride;
  const unsigned lane = simt::lane_index(), first = static_cast<unsigned>(x) - lane;
  if (dst.words && first + 32 <= static_cast<unsigned>(dst.width)) {
    const unsigned pixel = lane * 4 / 3 % 32, shift = lane * 4 % 3 * 8;
    const uint32_t here = simt::shuffle_from(rgb, pixel), next = simt::shuffle_from(rgb, (pixel + 1) % 32);
    if (lane < 24)
      simt::store(reinterpret_cast<uint32_t*>(row + 3 * size_t{first}) + lane, here >> shift | next << (24 - shift));
  } else if (x < dst.width) {
    uint8_t* p = row + 3 * int64_t{x};
    for (int i = 0; i < 3; ++i) simt::store(p + i, static_cast<uint8_t>(rgb >> 8 * i));
  }
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
