// Which tile a convolution on tensor cores uses and into how many parts its sum is split: a cost model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mfs::core {

// A tile shape of the portable family, in the order of its kernels (conv.cu).
struct ConvTileModel {
  const char* name;
  int rows, columns;
  int blocks_per_sm;
  double efficiency;  // of mma.sync's peak with enough blocks on an SM
};
inline constexpr ConvTileModel kConvTileModels[] = {
    {"mma 128x128", 128, 128, 2, 0.80},
    {"mma 128x64", 128, 64, 2, 0.70},
    {"mma 64x64", 64, 64, 3, 0.60},
};

struct ConvPlan {
  int tile = 0;       // index into kConvTileModels
  int splits = 1;     // parts of K that different blocks sum
  double cycles = 0;  // the model's estimate

  std::string text() const;  // "mma 128x64, split 2"
};

// The problem as a matrix product: output pixels, output channels, steps of 64 along K.
struct ConvSize {
  std::int64_t rows = 0;
  int columns = 0, steps = 0;
};

// All plans, the best first. Among equals the one with fewer splits and the larger tile wins.
std::vector<ConvPlan> conv_plans(const ConvSize& size, int multiprocessors);

}  // namespace mfs::core
