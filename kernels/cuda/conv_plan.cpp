#include "kernels/cuda/conv_plan.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace mfs::core {
namespace {

// Clock cycles of an SM. The instruction rate is sm_80's, the rest fits what a whole network's kernels took on an H100
// (mfs_cuda_network_bench --steps, 2026-11-26).
constexpr double kMultiplyAddsPerCycle = 1024;
constexpr double kLaunch = 2500;
constexpr double kBlockOverhead = 1500;         // filling the pipeline
constexpr double kResultOverhead = 0.8;         // of every value of a tile
constexpr double kStepLatency = 1300;           // of a step, however small
constexpr double kSumLaunch = 3500;             // one more kernel in the stream
constexpr double kPartialBytesPerCycle = 2000;  // of the whole device, mostly L2

constexpr int kMostSplits = 8, kFewestSteps = 4;  // steps per split

double estimate(const ConvTileModel& tile, const ConvSize& size, int splits, int multiprocessors, int resident) {
  const std::int64_t row_tiles = (size.rows + tile.rows - 1) / tile.rows;
  const std::int64_t column_tiles = (size.columns + tile.columns - 1) / tile.columns;
  const std::int64_t blocks = row_tiles * column_tiles * splits;
  const double steps = (size.steps + splits - 1) / splits;
  const double step = 64.0 * tile.rows * tile.columns / (kMultiplyAddsPerCycle * tile.efficiency);
  const std::int64_t per_sm = (blocks + multiprocessors - 1) / multiprocessors;
  // Blocks on one SM share its tensor cores; their overheads overlap with each other's sums.
  const auto together = static_cast<double>(std::min<std::int64_t>(per_sm, resident));
  const double overhead = kBlockOverhead + kResultOverhead * tile.rows * tile.columns;
  const double step_of_all = std::max(together * step, kStepLatency);
  const double rounds = static_cast<double>(per_sm) / together;
  double cycles = kLaunch + std::ceil(rounds) * steps * step_of_all + rounds * overhead;
  if (splits > 1)
    cycles += kSumLaunch + static_cast<double>(size.rows) * size.columns * 4 * (splits + 1) / kPartialBytesPerCycle;
  return cycles;
}

}  // namespace

int blocks_per_sm(const ConvTileModel& tile, int shared_per_multiprocessor) {
  constexpr int kReserved = 1024;  // of shared memory, by the system, for every block
  return std::min(tile.most_blocks, shared_per_multiprocessor / (tile.shared_bytes + kReserved));
}

std::string ConvSize::text() const {
  return std::to_string(rows) + "x" + std::to_string(columns) + ", " + std::to_string(steps) + " steps";
}

std::string ConvPlan::text() const {
  return kConvTileModels[tile].name + (splits > 1 ? ", split " + std::to_string(splits) : std::string());
}

std::vector<ConvPlan> conv_plans(const ConvSize& size, int multiprocessors, int shared_per_multiprocessor) {
  std::vector<ConvPlan> plans;
  for (int splits = 1; splits <= kMostSplits; ++splits) {
    if (splits > 1 && size.steps < splits * kFewestSteps) break;
    if ((splits - 1) * ((size.steps + splits - 1) / splits) >= size.steps) continue;  // the last part would be empty
    for (int t = 0; t < static_cast<int>(std::size(kConvTileModels)); ++t) {
      const ConvTileModel& tile = kConvTileModels[t];
      const int resident = blocks_per_sm(tile, shared_per_multiprocessor);
      if (resident > 0) plans.push_back({t, splits, estimate(tile, size, splits, multiprocessors, resident)});
    }
  }
  std::ranges::stable_sort(plans, {}, &ConvPlan::cycles);
  return plans;
}

}  // namespace mfs::core
