#include <algorithm>
#include <cmath>

#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pixels.h"
#include "kernels/effects.h"

namespace mfs::core {
namespace {

std::uint8_t blend(std::uint8_t under, float over, float opacity) {
  const float value = under + (over - under) * opacity;
  return static_cast<std::uint8_t>(value + 0.5f);
}

// Lowers nearest[i] to the distance at which the line from a pixel to its neighbour crosses the threshold, if it does.
MFS_MULTIVERSION void cross(const float* here, const float* there, float threshold, float distance, int n, float* nearest) {
  for (int i = 0; i < n; ++i) {
    const float f = above(here[i], threshold), g = above(there[i], threshold);
    const bool crosses = (f > 0) != (g > 0);
    const float gap = crosses ? f - g : 1.0f;
    const float at = crosses ? distance * (f / gap) : distance + distance;
    nearest[i] = at < nearest[i] ? at : nearest[i];
  }
}

MFS_MULTIVERSION void paint_piece(PixelFormat format, const std::uint8_t* src, const float* probability, float threshold,
                                  const float* nearest, float half_width, int n, std::uint8_t* dst) {
  PixelPlanes px;
  load_pixels(format, src, n, px);
  std::uint8_t* const channels[3] = {px.r, px.g, px.b};
  for (int p = 0; p < 3; ++p) {
    std::uint8_t* const plane = channels[p];
    for (int i = 0; i < n; ++i) {
      const float opacity = above(probability[i], threshold) > 0 ? kTintOpacity : 0;
      float cover = half_width + 0.5f - nearest[i];
      cover = cover > 0 ? cover : 0;
      cover = cover < 1 ? cover : 1;
      float value = static_cast<float>(plane[i]);
      value += (kTint[p] - value) * opacity;
      value += (kLine[p] - value) * cover;
      plane[i] = static_cast<std::uint8_t>(static_cast<int>(value + 0.5f));
    }
  }
  for (int i = 0; i < n; ++i) dst[3 * i] = px.r[i], dst[3 * i + 1] = px.g[i], dst[3 * i + 2] = px.b[i];
}

// Contour distances of pixels x ... x + n - 1 of row y, meaningful up to the neighbours' distance.
void find_contour(const Overlay& e, const Neighbours& neighbours, int x, int y, int n, float* nearest) {
  const int width = e.image.width, height = e.image.height;
  std::fill_n(nearest, n, 2.0f * static_cast<float>(neighbours.reach + 1));
  const float* here = e.probability.row(y);
  for (int k = 0; k < 8; ++k) {
    const int dx = neighbours.dx[k], row = y + neighbours.dy[k];
    if (row < 0 || row >= height) continue;
    const int begin = std::max(x, -dx), end = std::min(x + n, width - dx);
    if (begin >= end) continue;
    cross(here + begin, e.probability.row(row) + begin + dx, e.threshold, neighbours.distance[k], end - begin,
          nearest + (begin - x));
  }
}

// The part of a tap's mark that lies on row y: ring and dot in white, each with a dark rim.
void draw_tap(const OverlaySizes& sizes, Point tap, int y, int width, std::uint8_t* row) {
  const float reach = sizes.tap_reach();
  const float dy = static_cast<float>(y) - tap.y;
  if (!(std::abs(dy) <= reach) || tap.x < -reach || tap.x > static_cast<float>(width) + reach) return;
  const int begin = std::max(0, static_cast<int>(tap.x - reach)), end = std::min(width, static_cast<int>(tap.x + reach) + 2);
  for (int x = begin; x < end; ++x) {
    const float d = std::hypot(static_cast<float>(x) - tap.x, dy);
    const float outside = std::min(d - sizes.dot, std::abs(d - sizes.ring) - sizes.pen);  // of dot and ring
    const float dark = std::clamp(sizes.edge + 0.5f - outside, 0.0f, 1.0f), white = std::clamp(0.5f - outside, 0.0f, 1.0f);
    std::uint8_t* px = row + 3 * x;
    for (int c = 0; c < 3; ++c) px[c] = blend(blend(px[c], kOutline[c], dark), kLine[c], white);
  }
}

}  // namespace

Status run(const Cpu& cpu, const Overlay& e) {
  if (Status s = check(e); !s) return s;
  const OverlaySizes sizes(e.image.width, e.image.height);
  const Neighbours neighbours(sizes.line + 1);
  const int channels = channels_of(e.image.format), width = e.image.width;
  parallel_ranges(cpu, e.image.height, [&](std::int64_t begin, std::int64_t end, int) {
    alignas(64) float nearest[kPiece];
    for (int y = static_cast<int>(begin); y < end; ++y) {
      for (int x = 0; x < width; x += kPiece) {
        const int n = std::min(kPiece, width - x);
        find_contour(e, neighbours, x, y, n, nearest);
        paint_piece(e.image.format, e.image.row(y) + std::int64_t{x} * channels, e.probability.row(y) + x, e.threshold, nearest,
                    sizes.line, n, e.dst.row(y) + std::int64_t{x} * 3);
      }
      for (const Point& tap : e.taps) draw_tap(sizes, tap, y, width, e.dst.row(y));
    }
  });
  return {};
}

}  // namespace mfs::core
