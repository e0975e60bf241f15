#include "kernels/effects_geometry.h"

#include <algorithm>
#include <cmath>

namespace mfs::core {

OverlaySizes::OverlaySizes(int width, int height) {
  const float diagonal = std::hypot(static_cast<float>(width), static_cast<float>(height));
  line = std::max(2.0f, diagonal / 400) / 2;
  dot = std::max(2.5f, diagonal / 260);
  ring = 2.6f * dot;
  pen = 0.38f * dot;
  edge = std::max(1.0f, 0.4f * dot);
}

Neighbours::Neighbours(float radius) {
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

BlurGrid::BlurGrid(int photo_width, int photo_height, float photo_radius) {
  block = std::max(1, static_cast<int>(photo_radius / kGridRadius));
  width = (photo_width + block - 1) / block;
  height = (photo_height + block - 1) / block;
  const double r = std::max(0.5, static_cast<double>(photo_radius) / block);  // at least the pixel itself
  reach = static_cast<int>(std::ceil(r - 0.5));
  // Mean half chord over the height of the row, so that rows and columns of the disc's rim count by covered area.
  const auto area = [r](double y) { return 0.5 * (y * std::sqrt(std::max(0.0, r * r - y * y)) + r * r * std::asin(y / r)); };
  for (int dy = 0; dy <= reach; ++dy) {
    const double half = area(std::min(r, dy + 0.5)) - area(std::max(-r, dy - 0.5));
    chords[dy].full = static_cast<int>(std::floor(half - 0.5));
    chords[dy].part = static_cast<float>(half - 0.5 - chords[dy].full);
  }
}

}  // namespace mfs::core
