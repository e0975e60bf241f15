#include <algorithm>
#include <cmath>

#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pixels.h"
#include "kernels/effects.h"

namespace mfs::core {
namespace {

struct Colour {
  std::uint8_t r, g, b;
};
constexpr Colour kTint{0, 122, 255};
constexpr Colour kLine{255, 255, 255};
constexpr Colour kOutline{20, 24, 32};
constexpr float kTintOpacity = 0.45f;

std::uint8_t blend(std::uint8_t under, std::uint8_t over, float opacity) {
  const float value = under + (static_cast<float>(over) - under) * opacity;
  return static_cast<std::uint8_t>(value + 0.5f);
}

// Sizes in photo pixels, proportional to the diagonal so that the drawing looks the same at any resolution.
struct Sizes {
  float line;            // half the contour's width
  float dot, ring, pen;  // radii of a tap's dot and ring, half the ring's width
  float edge;            // dark rim around the dot and the ring

  explicit Sizes(const ImageView& image) {
    const float diagonal = std::hypot(static_cast<float>(image.width), static_cast<float>(image.height));
    line = std::max(2.0f, diagonal / 400) / 2;
    dot = std::max(2.5f, diagonal / 260);
    ring = 2.6f * dot;
    pen = 0.38f * dot;
    edge = std::max(1.0f, 0.4f * dot);
  }
};

// The eight compass points at about `radius` pixels.
struct Neighbours {
  int dx[8], dy[8], reach;
  float distance[8];

  explicit Neighbours(float radius) {
    const int straight = std::max(1, static_cast<int>(std::lround(radius)));
    const int slant = std::max(1, static_cast<int>(std::lround(radius * 0.70710678f)));
    reach = std::max(straight, slant);
    int i = 0;
    for (int y = -1; y <= 1; ++y) {
      for (int x = -1; x <= 1; ++x) {
        if (x == 0 && y == 0) continue;
        const int step = x != 0 && y != 0 ? slant : straight;
        dx[i] = x * step, dy[i] = y * step;
        distance[i] = std::hypot(static_cast<float>(dx[i]), static_cast<float>(dy[i]));
        ++i;
      }
    }
  }
};

// How far the probability is above the threshold; NaN counts as background.
[[gnu::always_inline]] inline float above(float probability, float threshold) {
  return (probability > 0 ? probability : 0) - threshold;
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
  const float tint[3] = {kTint.r, kTint.g, kTint.b}, line[3] = {kLine.r, kLine.g, kLine.b};
  for (int p = 0; p < 3; ++p) {
    std::uint8_t* const plane = channels[p];
    for (int i = 0; i < n; ++i) {
      const float opacity = above(probability[i], threshold) > 0 ? kTintOpacity : 0;
      float cover = half_width + 0.5f - nearest[i];
      cover = cover > 0 ? cover : 0;
      cover = cover < 1 ? cover : 1;
      float value = static_cast<float>(plane[i]);
      value += (tint[p] - value) * opacity;
      value += (line[p] - value) * cover;
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
void draw_tap(const Sizes& sizes, Point tap, int y, int width, std::uint8_t* row) {
  const float reach = sizes.ring + sizes.pen + sizes.edge + 1;
  const float dy = static_cast<float>(y) - tap.y;
  if (!(std::abs(dy) <= reach) || tap.x < -reach || tap.x > static_cast<float>(width) + reach) return;
  const int begin = std::max(0, static_cast<int>(tap.x - reach)), end = std::min(width, static_cast<int>(tap.x + reach) + 2);
  for (int x = begin; x < end; ++x) {
    const float d = std::hypot(static_cast<float>(x) - tap.x, dy);
    const float outside = std::min(d - sizes.dot, std::abs(d - sizes.ring) - sizes.pen);  // of dot and ring
    const float dark = std::clamp(sizes.edge + 0.5f - outside, 0.0f, 1.0f), white = std::clamp(0.5f - outside, 0.0f, 1.0f);
    std::uint8_t* px = row + 3 * x;
    px[0] = blend(blend(px[0], kOutline.r, dark), kLine.r, white);
    px[1] = blend(blend(px[1], kOutline.g, dark), kLine.g, white);
    px[2] = blend(blend(px[2], kOutline.b, dark), kLine.b, white);
  }
}

}  // namespace

Status run(const Cpu& cpu, const Overlay& e) {
  if (Status s = check(e); !s) return s;
  const Sizes sizes(e.image);
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
