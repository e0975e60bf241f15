#include "kernels/cuda/conv_hopper_tuned.h"

#include <algorithm>

#include "kernels/cuda/conv_hopper_table.h"

namespace mfs::core {

Conv tuned_problem(const Conv& conv) {
  Conv c = conv;
  c.src_pitch = c.dst_pitch = c.residual_pitch = c.joined_pitch = 0;
  if (c.dtype == DType::kBF16) c.dtype = DType::kF16;
  c.wide = is_narrow(c.dtype) ? DType::kF16 : DType::kF32;
  for (float* const scale : {&c.src_scale, &c.joined_scale, &c.dst_scale, &c.copy_scale}) *scale = *scale > 0 ? 1 : 0;
  return c;
}

std::optional<HopperPlan> HopperTuned::chosen_of(const std::vector<HopperPlan>& plans) const {
  const auto chosen = std::ranges::find_if(plans, [this](const HopperPlan& p) {
    return kHopperTiles[p.tile] == tile && p.cluster_rows == cluster_rows && p.cluster_columns == cluster_columns;
  });
  return chosen == plans.end() ? std::nullopt : std::optional(*chosen);
}

const HopperTuned* tuned_choice(const Cuda& cuda, const Conv& conv) {
  const HopperTable& table = cuda.tuned ? *cuda.tuned : kHopperTable;
  if (table.multiprocessors != cuda.multiprocessors) return nullptr;
  const auto found = std::ranges::find(table.entries, tuned_problem(conv), &HopperTuned::problem);
  return found == table.entries.end() ? nullptr : &*found;
}

std::optional<HopperPlan> chosen_plan(const Cuda& cuda, const Conv& conv, const std::vector<HopperPlan>& plans) {
  if (const HopperTuned* tuned = tuned_choice(cuda, conv))
    if (const auto chosen = tuned->chosen_of(plans)) return chosen;
  return plans.empty() ? std::nullopt : std::optional(plans.front());
}

}  // namespace mfs::core
