// Problems of pyramid_pool, pyramid_head and concat that tests and benchmarks share (see cases.h).
#pragma once

#include <vector>

#include "kernels/tensor_view.h"

namespace mfs::core::cases {

struct PyramidCase {
  const char* name;
  Shape src;
  std::vector<int> bins;
  int gap = 0;
};
inline const std::vector<PyramidCase> kPyramid{
    {"one pixel", {1, 1, 1, 3}, {1, 2, 3, 6}},
    {"fewer pixels than bins", {1, 4, 3, 5}, {1, 2, 3, 6}},
    {"bins overlap, two images", {2, 10, 13, 70}, {1, 2, 3, 6}, 5},
    {"bins divide", {1, 12, 18, 129}, {1, 2, 3, 6}, 64},
    {"one level", {1, 9, 8, 16}, {4}},
    {"eight levels", {1, 11, 9, 7}, {1, 2, 3, 4, 5, 3, 2, 1}},
    {"vectors, slices, two images", {2, 5, 9, 72}, {1, 2, 3}, 8},
    {"long cells", {1, 37, 70, 24}, {1, 2}},
    {"layer5", {1, 64, 64, 2048}, {1, 2, 3, 6}},
};

struct ConcatCase {
  const char* name;
  Shape dst;
  std::vector<int> channels;
  int gap = 0;
};
inline const std::vector<ConcatCase> kConcat{
    {"one source", {1, 1, 1, 1}, {1}},
    {"odd channels, slices", {1, 5, 3, 21}, {3, 17, 1}, 2},
    {"two images", {2, 3, 4, 24}, {8, 16}},
    {"vectors, slices", {1, 7, 5, 56}, {8, 32, 16}, 8},
    {"vectors that do not start at one", {2, 3, 5, 27}, {3, 8, 16}, 5},
    {"backbone and fusion", {1, 64, 64, 2304}, {2048, 256}},
};

}  // namespace mfs::core::cases
