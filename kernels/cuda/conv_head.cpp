#include "kernels/conv_head.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "kernels/cuda/conv_check.h"
#include "kernels/cuda/conv_hopper_head_plan.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/cuda/hopper.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

// As was measured, else by the model; none where there is no kernel.
std::optional<HopperPlan> plan_of(const Cuda& cuda, const ConvHead& h) {
  const Conv& c = h.conv;
  if (!has_hopper(cuda) || cuda.convolutions == ConvFamily::kPortable || !check_on_cuda(c) || !hopper_takes(c)) return {};
  const bool plain =
      c.stride == 1 && c.joined_stride == 1 && !c.residual && !c.relu && !c.sums && c.copy_scale == 0 && c.dst_scale == 0;
  // Priors are indexed by 32 bits.
  const auto fits = [&](int bins) {
    return bins >= 1 && std::int64_t{c.dst.n} * bins * bins * c.dst.c <= std::numeric_limits<std::int32_t>::max();
  };
  if (!plain || h.bins.empty() || h.bins.size() > kMaxPyramidLevels || !std::ranges::all_of(h.bins, fits)) return {};
  return chosen_plan(cuda, c, hopper_head_plans(h, hopper_head_tiles(h), hopper_room(cuda)));
}

}  // namespace

int logit_parts(const Cuda& cuda, const ConvHead& head) {
  const auto plan = plan_of(cuda, head);
  return plan ? hopper_logit_parts(head, *plan) : 0;
}

std::shared_ptr<const PreparedConvHead> prepare_conv_head(const Cuda& cuda, const ConvHead& head,
                                                          const ConvParameters& parameters, const LogitParameters& logit,
                                                          const std::string& name, PackCache& cache) {
#if MFS_HAVE_HOPPER
  if (const auto plan = plan_of(cuda, head)) return prepare_hopper_head(head, *plan, parameters, logit, name, cache);
#endif
  throw Error(Code::kUnsupported, "conv_head: no kernel for " + to_string(head.conv.src) + " on capability " +
                                      std::to_string(cuda.capability) + " (" + name + ")");
}

}  // namespace mfs::core
