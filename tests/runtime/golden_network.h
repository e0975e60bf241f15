// A golden case (goldens/*.json, made by make_goldens.py): its weights file and photo made from the same formula, and what
// PyTorch computed from them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/tensor_view.h"

namespace mfs::core::test {

struct GoldenNetwork {
  explicit GoldenNetwork(const std::string& name);  // writes a temporary weights file
  ~GoldenNetwork();
  GoldenNetwork(const GoldenNetwork&) = delete;
  GoldenNetwork& operator=(const GoldenNetwork&) = delete;

  ImageView photo() const { return {pixels.data(), width, height, std::int64_t{width} * 3, PixelFormat::kRgb}; }

  std::string weights_path;
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<Point> taps;
  std::vector<float> logit;                 // of the 64x64 network, row by row
  std::vector<float> probability_diagonal;  // at photo pixels (i, i)
};

inline const std::vector<std::string> kGoldenNames{"multi", "multi_layer1_3x3ceil", "early_layer4_conv2", "baseline_2x2",
                                                   "vgg_early"};

}  // namespace mfs::core::test
