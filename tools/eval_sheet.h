// A contact sheet: one picture of many small ones, to see at a glance what goes wrong.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tools/eval_dataset.h"

namespace mfs::tools {

// Each tile shows the photo with the prediction tinted, the true contour in yellow, ignored pixels darkened, the taps as dots,
// and below it its rank and IoU.
class ContactSheet {
 public:
  explicit ContactSheet(std::size_t tiles);

  void add(const Scene& scene, const Mask& prediction, const std::vector<Point>& taps, double iou);
  std::vector<std::uint8_t> png() const;

 private:
  struct Colour {
    int red, green, blue;
  };
  void blend(int x, int y, Colour colour, int percent);
  void draw_text(int x, int y, std::string_view text);

  int width_, height_;
  std::size_t added_ = 0;
  std::vector<std::uint8_t> pixels_;  // RGB
};

}  // namespace mfs::tools
