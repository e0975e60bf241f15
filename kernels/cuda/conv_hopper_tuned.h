// Measured choices of the Hopper family, which come before the cost model's. One entry for each convolution of the network and
// batch size (1, 2, 4, 8, 16), all of one table from one run of the benchmark.
#pragma once

#include <span>

#include "kernels/cuda/conv_hopper_plan.h"

namespace mfs::core {

struct HopperTuned {
  DType dtype;
  Shape src;
  int cout, kernel, stride, dilation, joined;  // joined: channels
  bool residual;
  HopperPlan plan;
  const char *gpu, *date;  // "NVIDIA H200", "2026-12-31"
};

// Nothing has been measured yet.
inline constexpr std::span<const HopperTuned> kHopperTuned{};

}  // namespace mfs::core
