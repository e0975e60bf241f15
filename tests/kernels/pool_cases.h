// Problems of max_pool, resize_bilinear, transposed_conv and the element-wise operations that tests and benchmarks share (see
// cases.h).
#pragma once

#include <vector>

#include "kernels/tensor_view.h"

namespace mfs::core::cases {

struct MaxPoolCase {
  const char* name;
  Shape src;
  int kernel, stride, pad;
  bool ceil_mode = false;
  int gap = 0;
};
inline const std::vector<MaxPoolCase> kMaxPool{
    {"one pixel", {1, 1, 1, 1}, 3, 2, 1},
    {"2x2, odd channels", {1, 6, 9, 3}, 2, 2, 0},
    {"2x2 ceil", {1, 5, 7, 17}, 2, 2, 0, true, 3},
    {"2x2 ceil on one pixel", {1, 1, 1, 5}, 2, 2, 0, true},
    {"3x3 two images", {2, 7, 8, 5}, 3, 2, 1, false, 2},
    {"3x3 ceil", {1, 8, 11, 33}, 3, 2, 1, true},
    {"2x2 ceil, last window would start outside", {1, 4, 4, 2}, 2, 3, 1, true},
    {"5x5 stride 1", {1, 4, 6, 80}, 5, 1, 2},
    {"stem", {1, 256, 256, 64}, 3, 2, 1},
    {"init.0", {1, 256, 256, 256}, 2, 2, 0},
};

// Tensors without geometry: squeeze_excite.
struct MapCase {
  const char* name;
  Shape src;
  int gap = 0;
};
inline const std::vector<MapCase> kMaps{
    {"one number", {1, 1, 1, 1}},
    {"one row", {1, 1, 9, 5}},
    {"odd channels", {1, 5, 3, 37}, 3},
    {"two images", {2, 6, 7, 16}, 1},
    {"three images", {3, 2, 5, 70}},
    {"one channel", {1, 33, 30, 1}},
    {"vectors, slices, two images", {2, 9, 11, 40}, 8},
    {"vectors, many pixels", {1, 41, 40, 24}},
    {"vectors of 304 channels", {1, 6, 5, 304}, 16},
    {"fusion.0", {1, 128, 128, 256}, 0},
};

struct ResizeCase {
  const char* name;
  Shape src;
  int h, w;
  int gap = 0;
};
inline const std::vector<ResizeCase> kResize{
    {"one pixel", {1, 1, 1, 1}, 1, 1},
    {"one pixel to many", {1, 1, 1, 5}, 4, 3},
    {"many to one pixel", {1, 4, 7, 3}, 1, 1},
    {"up, two images", {2, 3, 5, 19}, 8, 11, 4},
    {"down", {1, 13, 9, 33}, 5, 4, 1},
    {"same size", {1, 6, 4, 16}, 6, 4},
    {"wide, vectors, slices, two images", {2, 2, 9, 40}, 3, 140, 8},
    {"fusion to 3x3ceil backbone", {1, 64, 64, 256}, 65, 65},
};

struct TransposedConvCase {
  const char* name;
  Shape src;
  int cout, kernel, stride, pad;
  int gap = 0;
};
inline const std::vector<TransposedConvCase> kTransposedConv{
    {"one number", {1, 1, 1, 1}, 1, 1, 1, 0},
    {"4x4 stride 2 on one pixel", {1, 1, 1, 1}, 1, 4, 2, 1},
    {"4x4 stride 2 on one row, two images", {2, 1, 9, 3}, 5, 4, 2, 1, 2},
    {"3x3 stride 1", {1, 5, 6, 4}, 7, 3, 1, 1},
    {"3x3 stride 2 without padding", {1, 4, 5, 6}, 3, 3, 2, 0, 1},
    {"2x2 stride 3: pixels that nothing reaches", {1, 3, 4, 2}, 3, 2, 3, 0},
    {"2x2 stride 2, padding cuts off whole pixels", {1, 5, 4, 3}, 2, 2, 2, 3},
    {"16x16 stride 8 of FCN-8s", {1, 3, 2, 2}, 2, 16, 8, 4},
    {"5x5 stride 3, vectors, slices, two images", {2, 3, 4, 9}, 40, 5, 3, 2, 8},
    {"4x4 stride 2, 21 classes, worth threads", {1, 8, 7, 21}, 21, 4, 2, 1},
    {"upscore2", {1, 16, 16, 1}, 1, 4, 2, 1},
    {"upscore_pool4", {1, 32, 32, 1}, 1, 4, 2, 1},
};

}  // namespace mfs::core::cases
