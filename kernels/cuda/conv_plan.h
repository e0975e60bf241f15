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
  int shared_bytes;
  int most_blocks;    // on an SM, by their registers
  double efficiency;  // of mma.sync's peak with enough blocks on an SM
};
inline constexpr ConvTileModel kConvTileModels[] = {
    {"mma 128x128", 128, 128, 100352, 2, 0.80},
    {"mma 128x64", 128, 64, 75776, 2, 0.70},
    {"mma 64x64", 64, 64, 50176, 3, 0.60},
};

// How many blocks of a tile an SM holds at a time.
int blocks_per_sm(const ConvTileModel& tile, int shared_per_multiprocessor);

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

  std::string text() const;  // "4096x256, 36 steps"
};

// All plans, the best first. Among equals the one with fewer splits and the larger tile wins.
std::vector<ConvPlan> conv_plans(const ConvSize& size, int multiprocessors, int shared_per_multiprocessor = 228 << 10);

}  // namespace mfs::core
