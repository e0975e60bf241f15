#include "kernels/conv_head.h"

#include <algorithm>
#include <limits>

#include "kernels/cuda/conv_check.h"
#include "kernels/cuda/conv_hopper_head_plan.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/cuda/hopper.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

// The one to use first: as was measured, else by the model. Empty where there is no kernel.
std::vector<HopperPlan> plans_of(const Cuda& cuda, const ConvHead& h) {
  const Conv& c = h.conv;
  if (!has_hopper(cuda) || cuda.convolutions == ConvFamily::kPortable || !check_on_cuda(c) || !hopper_takes(c)) return {};
  const bool plain =
      c.stride == 1 && c.joined_stride == 1 && !c.residual && !c.relu && !c.sums && c.copy_scale == 0 && c.dst_scale == 0;
  // Priors are indexed by 32 bits.
  const auto fits = [&](int bins) {
    return bins >= 1 && std::int64_t{c.dst.n} * bins * bins * c.dst.c <= std::numeric_limits<std::int32_t>::max();
  };
  if (!plain || h.bins.empty() || h.bins.size() > kMaxPyramidLevels || !std::ranges::all_of(h.bins, fits)) return {};
  std::vector<HopperPlan> plans = hopper_head_plans(h, hopper_head_tiles(h), cuda.multiprocessors);
  if (const HopperTuned* tuned = tuned_choice(cuda, c)) {
    const auto chosen = std::ranges::find_if(plans, [&](const HopperPlan& p) { return tuned->chooses(p); });
    if (chosen != plans.end()) std::rotate(plans.begin(), chosen, chosen + 1);
  }
  return plans;
}

}  // namespace

int logit_parts(const Cuda& cuda, const ConvHead& head) {
  const std::vector<HopperPlan> plans = plans_of(cuda, head);
  return plans.empty() ? 0 : hopper_logit_parts(head, plans.front());
}

std::shared_ptr<const PreparedConvHead> prepare_conv_head(const Cuda& cuda, const ConvHead& head,
                                                          const ConvParameters& parameters, const LogitParameters& logit,
                                                          const std::string& name, PackCache& cache) {
  const std::vector<HopperPlan> plans = plans_of(cuda, head);
#if MFS_HAVE_HOPPER
  if (!plans.empty()) return prepare_hopper_head(head, plans.front(), parameters, logit, name, cache);
#endif
  throw Error(Code::kUnsupported, "conv_head: no kernel for " + to_string(head.conv.src) + " on capability " +
                                      std::to_string(cuda.capability) + " (" + name + ")");
}

}  // namespace mfs::core
