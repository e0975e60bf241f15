#include "kernels/cuda/photo.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/taps.h"
#include "kernels/effects.h"
#include "kernels/effects_geometry.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kOverlayRows = 4;  // per thread

struct OverlayParams {
  Photo photo;
  Map probability;
  MutPhoto dst;
  float threshold, line_width, dot, ring, pen, edge, tap_reach, far;
  int dx[8], dy[8];
  float distance[8];
  float tint[3], line[3], outline[3];
  Taps taps;
};

MFS_DEVICE float unit(float v) { return v < 0 ? 0.0f : v > 1 ? 1.0f : v; }

// How much of the pixel the contour covers. The division is worth its branch: few pixels are near the contour.
MFS_DEVICE float contour_cover(const OverlayParams& p, float here, int x, int y) {
  float nearest = p.far;
  float there[8];
  MFS_UNROLL
  for (int k = 0; k < 8; ++k) {
    const int u = x + p.dx[k], v = y + p.dy[k];
    const bool inside = u >= 0 && u < p.photo.width && v >= 0 && v < p.photo.height;
    there[k] = inside ? above(value_at(p.probability, u, v), p.threshold) : here;
  }
  MFS_UNROLL
  for (int k = 0; k < 8; ++k) {
    if ((here > 0) != (there[k] > 0)) {
      const float at = p.distance[k] * (here / (here - there[k]));
      nearest = at < nearest ? at : nearest;
    }
  }
  return unit(p.line_width + 0.5f - nearest);
}

MFS_DEVICE int painted(int value, float tint, float opacity, float line, float cover) {
  float v = static_cast<float>(value);
  v += (tint - v) * opacity;
  v += (line - v) * cover;
  return static_cast<int>(v + 0.5f);
}

MFS_DEVICE int blend(int under, float over, float opacity) {
  return static_cast<int>(static_cast<float>(under) + (over - static_cast<float>(under)) * opacity + 0.5f);
}

// Ring and dot in white, each with a dark rim.
MFS_DEVICE void draw_tap(const OverlayParams& p, const Point& tap, int x, int y, int (&rgb)[3]) {
  const float dx = static_cast<float>(x) - tap.x, dy = static_cast<float>(y) - tap.y;
  if (!(fabsf(dx) <= p.tap_reach && fabsf(dy) <= p.tap_reach)) return;
  const float d = sqrtf(dx * dx + dy * dy);
  const float from_dot = d - p.dot, from_ring = fabsf(d - p.ring) - p.pen;
  const float outside = from_dot < from_ring ? from_dot : from_ring;
  const float dark = unit(p.edge + 0.5f - outside), white = unit(0.5f - outside);
  MFS_UNROLL
  for (int c = 0; c < 3; ++c) rgb[c] = blend(blend(rgb[c], p.outline[c], dark), p.line[c], white);
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kStripWidth) overlay_kernel(const MFS_GRID_CONSTANT OverlayParams p) {
  simt::grid_dependency_wait();
  auto* hits = reinterpret_cast<uint32_t*>(simt::shared_memory());  // a bit for every tap that may touch this strip
  const auto [x, first] = strip_position(p.photo.width, kOverlayRows);
  const int thread = static_cast<int>(simt::thread_index().x);
  bool hit = false;
  if (thread < p.taps.count) {
    const Point tap = p.taps.at[thread];
    const float left = static_cast<float>(x - thread), top = static_cast<float>(first);
    hit = tap.x >= left - p.tap_reach && tap.x <= left + kStripWidth + p.tap_reach && tap.y >= top - p.tap_reach &&
          tap.y <= top + kOverlayRows + p.tap_reach;
  }
  const uint32_t ballot = simt::vote_ballot(hit);
  if (simt::lane_index() == 0) hits[simt::warp_index()] = ballot;
  simt::sync_block();
  const int column = x < p.photo.width ? x : p.photo.width - 1;  // whole warps store
  for (int y = first; y < first + kOverlayRows && y < p.photo.height; ++y) {
    const Pixel px = load_pixel(p.photo, pixel_at(p.photo, column, y));
    const float here = above(value_at(p.probability, column, y), p.threshold);
    const float cover = contour_cover(p, here, column, y), opacity = here > 0 ? kTintOpacity : 0.0f;
    int rgb[3] = {px.r, px.g, px.b};
    MFS_UNROLL
    for (int c = 0; c < 3; ++c) rgb[c] = painted(rgb[c], p.tint[c], opacity, p.line[c], cover);
    for (int i = 0; i < p.taps.count; ++i) {
      const uint32_t bits = hits[i / 32];
      if (bits == 0) {
        i |= 31;
      } else if (bits >> i % 32 & 1) {
        draw_tap(p, p.taps.at[i], column, y, rgb);
      }
    }
    store_rgb(p.dst, x, y, packed_rgb(rgb[0], rgb[1], rgb[2]));
  }
}

static_assert(kMostTaps <= kStripWidth, "a thread looks at one tap");

}  // namespace
}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const Overlay& e) {
  if (Status s = check(e); !s) return s;
  if (Status s = check_items("overlay", strips_of(e.image.width, e.image.height, kOverlayRows)); !s) return s;
  const OverlaySizes sizes(e.image.width, e.image.height);
  const Neighbours neighbours(sizes.line + 1);
  OverlayParams p{};
  if (Status s = pack("overlay", e.taps, p.taps); !s) return s;
  p.photo = photo_of(e.image), p.probability = map_of(e.probability), p.dst = photo_of(e.dst), p.threshold = e.threshold;
  p.line_width = sizes.line, p.dot = sizes.dot, p.ring = sizes.ring, p.pen = sizes.pen, p.edge = sizes.edge;
  p.tap_reach = sizes.tap_reach(), p.far = 2.0f * static_cast<float>(neighbours.reach + 1);
  for (int k = 0; k < 8; ++k) p.dx[k] = neighbours.dx[k], p.dy[k] = neighbours.dy[k], p.distance[k] = neighbours.distance[k];
  for (int c = 0; c < 3; ++c) p.tint[c] = kTint[c], p.line[c] = kLine[c], p.outline[c] = kOutline[c];
  simt::LaunchShape shape = strips_for("overlay", e.image.width, e.image.height, kOverlayRows);
  shape.shared_bytes = kStripWidth / 32 * sizeof(uint32_t);
  return simt::launch(stream_of(cuda), shape, overlay_kernel, p);
}

}  // namespace mfs::core
