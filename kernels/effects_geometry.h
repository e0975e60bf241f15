// What the effects look like, for both backends: opacities, colours, sizes of lines and discs.
#pragma once

#include "kernels/portable.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// Opacity 0..255: 0 below probability 0.25, 255 above 0.75, linear between. NaN counts as background.
MFS_PORTABLE int soft_alpha(float probability) {
  float a = (probability - 0.25f) * 510;
  a = a > 0 ? a : 0;
  a = a < 255 ? a : 255;
  return static_cast<int>(a + 0.5f);
}

// Share of a pixel of opacity `alpha` in the blurred background (see cpu/background_blur.cpp).
MFS_PORTABLE int background_weight(int alpha) {
  const int least = alpha < 255 ? 1 : 0, weight = 255 - 2 * alpha;
  return weight > least ? weight : least;
}

// How far the probability is above the threshold; NaN counts as background.
MFS_PORTABLE float above(float probability, float threshold) { return (probability > 0 ? probability : 0) - threshold; }

// Red, green, blue of an overlay.
inline constexpr float kTint[3] = {0, 122, 255}, kLine[3] = {255, 255, 255}, kOutline[3] = {20, 24, 32};
inline constexpr float kTintOpacity = 0.45f;

// Sizes in photo pixels, proportional to the diagonal so that the drawing looks the same at any resolution.
struct OverlaySizes {
  float line;            // half the contour's width
  float dot, ring, pen;  // radii of a tap's dot and ring, half the ring's width
  float edge;            // dark rim around the dot and the ring

  OverlaySizes(int width, int height);
  float tap_reach() const { return ring + pen + edge + 1; }
};

// The eight compass points at about `radius` pixels: where a pixel looks for the contour.
struct Neighbours {
  int dx[8], dy[8], reach;
  float distance[8];

  explicit Neighbours(float radius);
};

// Blocks are as large as leaves the disc at least this radius on the grid: the softness of its edge, about one block, then
// stays below a fifth of the radius.
inline constexpr float kGridRadius = 5;
inline constexpr int kMaxReach = 10;  // rows above and below the centre that a disc touches: its radius is < 2 * kGridRadius

// One row of the disc: `full` whole blocks on each side of the centre and the fraction `part` of one more. -1 full blocks and
// part p stand for 2p - 1 of the centre alone.
struct Chord {
  int full = 0;
  float part = 0;
};

// The disc of a blur on a grid of square blocks of the photo.
struct BlurGrid {
  int block = 1, width = 0, height = 0;  // block side in photo pixels; size of the grid in blocks
  int reach = 0;                         // rows of the disc on each side
  Chord chords[kMaxReach + 1];

  BlurGrid(int photo_width, int photo_height, float photo_radius);
};

}  // namespace mfs::core
