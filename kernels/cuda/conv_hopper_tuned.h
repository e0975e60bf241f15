// Measured choices of the Hopper family, which come before the cost model's: a table that mfs_cuda_tune writes.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "kernels/cuda/conv_hopper_plan.h"

namespace mfs::core {

struct HopperTuned {
  Conv problem;  // a tuned_problem()
  // The kernel. None: the portable family is faster.
  HopperTileModel tile{};
  int cluster_rows = 1, cluster_columns = 1;

  bool portable() const { return tile.columns == 0; }
  std::optional<HopperPlan> chosen_of(const std::vector<HopperPlan>& plans) const;
};

// All of one GPU and one run. Used on GPUs with as many SMs.
struct HopperTable {
  std::string_view gpu, date;  // "NVIDIA H200", "2026-12-31"
  int multiprocessors = 0;
  std::span<const HopperTuned> entries{};
};

// What decides how long a problem takes: without pitches and the values of scales, bf16 like f16.
Conv tuned_problem(const Conv& conv);

// The entry for a problem in the device's table, which is the built-in one unless `cuda` brings another. Null: none.
const HopperTuned* tuned_choice(const Cuda& cuda, const Conv& conv);

// Of plans that all end in something other than a map: the measured one, else the first. An entry counts for every end.
std::optional<HopperPlan> chosen_plan(const Cuda& cuda, const Conv& conv, const std::vector<HopperPlan>& plans);

}  // namespace mfs::core
