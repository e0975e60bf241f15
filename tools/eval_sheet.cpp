#include "tools/eval_sheet.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tools/encode.h"
#include "tools/eval_distance.h"

namespace mfs::tools {
namespace {

constexpr int kColumns = 5, kBox = 240, kCaption = 24, kGap = 8;
constexpr int kTileWidth = kBox + kGap, kTileHeight = kBox + kCaption + kGap;
constexpr std::uint8_t kPaper = 24;

// Glyphs of 3 x 5 dots, drawn three times as large; a row's bits from left to right are 4, 2, 1.
constexpr int kGlyphColumns = 3, kGlyphRows = 5, kDot = 3;
constexpr std::string_view kCharacters = "0123456789.";
constexpr std::uint8_t kGlyphs[kCharacters.size()][kGlyphRows] = {
    {7, 5, 5, 5, 7}, {2, 6, 2, 2, 7}, {7, 1, 7, 4, 7}, {7, 1, 7, 1, 7}, {5, 5, 7, 1, 1}, {7, 4, 7, 1, 7},
    {7, 4, 7, 5, 7}, {7, 1, 1, 2, 2}, {7, 5, 7, 5, 7}, {7, 5, 7, 1, 7}, {0, 0, 0, 0, 2}};

// The photo pixels [first, last) that a tile's pixel stands for.
struct Range {
  int first, last;
};
Range source_range(int at, int shown, int size) {
  const auto first = static_cast<int>(std::int64_t{at} * size / shown);
  const auto last = static_cast<int>(std::int64_t{at + 1} * size / shown);
  return {first, std::max(last, first + 1)};
}

}  // namespace

ContactSheet::ContactSheet(std::size_t tiles)
    : width_(kGap + kTileWidth * std::clamp(static_cast<int>(tiles), 1, kColumns)),
      height_(kGap + kTileHeight * std::max(1, (static_cast<int>(tiles) + kColumns - 1) / kColumns)),
      pixels_(static_cast<std::size_t>(width_) * height_ * 3, kPaper) {}

void ContactSheet::blend(int x, int y, Colour colour, int percent) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  std::uint8_t* const pixel = pixels_.data() + (static_cast<std::size_t>(y) * width_ + x) * 3;
  const int wanted[] = {colour.red, colour.green, colour.blue};
  for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>((pixel[c] * (100 - percent) + wanted[c] * percent) / 100);
}

void ContactSheet::draw_text(int x, int y, std::string_view text) {
  for (const char character : text) {
    const std::size_t glyph = kCharacters.find(character);
    for (int dot = 0; glyph != std::string_view::npos && dot < kGlyphRows * kGlyphColumns; ++dot) {
      const int row = dot / kGlyphColumns, column = dot % kGlyphColumns;
      if ((kGlyphs[glyph][row] >> (kGlyphColumns - 1 - column) & 1) == 0) continue;
      for (int i = 0; i < kDot * kDot; ++i) {
        blend(x + column * kDot + i % kDot, y + row * kDot + i / kDot, {255, 255, 255}, 100);
      }
    }
    x += (kGlyphColumns + 1) * kDot;
  }
}

void ContactSheet::add(const Scene& scene, const Mask& prediction, const std::vector<Point>& taps, double iou) {
  const Photo& photo = scene.photo;
  const int longer = std::max(photo.width, photo.height);
  const auto shown_side = [&](int side) { return std::max(1, static_cast<int>(std::int64_t{side} * kBox / longer)); };
  const int width = shown_side(photo.width), height = shown_side(photo.height);
  const int left = kGap + static_cast<int>(added_ % kColumns) * kTileWidth,
            box_top = kGap + static_cast<int>(added_ / kColumns) * kTileHeight;
  const int x0 = left + (kBox - width) / 2, y0 = box_top + (kBox - height) / 2;
  ++added_;

  const auto mask_value = [&](const Mask& mask, int x, int y) {
    const int px = source_range(x, width, photo.width).first, py = source_range(y, height, photo.height).first;
    return mask.pixels[static_cast<std::size_t>(py) * photo.width + px];
  };
  const auto is_object = [&](int x, int y) {
    return x >= 0 && y >= 0 && x < width && y < height && mask_value(scene.truth, x, y) == kObject;
  };
  for (int y = 0; y < height; ++y) {
    const Range rows = source_range(y, height, photo.height);
    for (int x = 0; x < width; ++x) {
      const Range columns = source_range(x, width, photo.width);
      long sums[3] = {0, 0, 0};
      for (int py = rows.first; py < rows.last; ++py) {
        for (int px = columns.first; px < columns.last; ++px) {
          const std::size_t at = (static_cast<std::size_t>(py) * photo.width + px) * photo.channels;
          for (int c = 0; c < 3; ++c) sums[c] += photo.pixels[at + c];
        }
      }
      const long count = static_cast<long>(rows.last - rows.first) * (columns.last - columns.first);
      const Colour mean{static_cast<int>(sums[0] / count), static_cast<int>(sums[1] / count),
                        static_cast<int>(sums[2] / count)};
      blend(x0 + x, y0 + y, mean, 100);
      if (mask_value(scene.truth, x, y) == kIgnored) blend(x0 + x, y0 + y, {0, 0, 0}, 60);
      if (mask_value(prediction, x, y) == kObject) blend(x0 + x, y0 + y, {40, 160, 255}, 45);
      const bool inner = is_object(x - 1, y) && is_object(x + 1, y) && is_object(x, y - 1) && is_object(x, y + 1);
      if (is_object(x, y) && !inner) blend(x0 + x, y0 + y, {255, 220, 0}, 100);
    }
  }
  for (const Point& tap : taps) {
    const int cx =
        x0 + static_cast<int>(std::floor((tap.x + 0.5f) * static_cast<float>(width) / static_cast<float>(photo.width)));
    const int cy =
        y0 + static_cast<int>(std::floor((tap.y + 0.5f) * static_cast<float>(height) / static_cast<float>(photo.height)));
    constexpr int kRadius = 5, kInner = 3;
    for (int dy = -kRadius; dy <= kRadius; ++dy) {
      for (int dx = -kRadius; dx <= kRadius; ++dx) {
        const int square = dx * dx + dy * dy;
        if (square <= kRadius * kRadius)
          blend(cx + dx, cy + dy, square <= kInner * kInner ? Colour{230, 30, 30} : Colour{255, 255, 255}, 100);
      }
    }
  }
  char caption[48];
  std::snprintf(caption, sizeof caption, "%zu  %.3f", added_, iou);
  draw_text(left + 2, box_top + kBox + 5, caption);
}

std::vector<std::uint8_t> ContactSheet::png() const { return encode_png(pixels_, width_, height_, 3); }

}  // namespace mfs::tools
