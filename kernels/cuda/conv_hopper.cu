// Convolutions of the Hopper family whose result is a map, and the room that a GPU has for the family.
#include "kernels/cuda/conv_family.h"
#include "kernels/cuda/conv_hopper_kernels.h"

namespace mfs::core {
namespace {

class HopperMap final : public PreparedConv<Cuda> {
 public:
  HopperMap(const Conv& conv, const HopperPlan& plan, const ConvParameters& parameters, const std::string& name,
            PackCache& cache)
      : conv_(conv, hopper_geometry(conv), plan, hopper_kernel<HopperEnd::kMap>(conv.dtype, plan), parameters, name, cache) {}

  std::size_t scratch_bytes() const override { return 0; }
  const std::string& algorithm() const override { return conv_.algorithm(); }
  Status run(const Cuda& cuda, const ConvArguments& a) const override { return conv_.run(cuda, a); }

 private:
  HopperConvolution conv_;
};

}  // namespace

// Every kernel of the family fills an SM, so one speaks for all.
HopperRoom hopper_room(const Cuda& cuda) {
  const HopperRoom undivided = undivided_room(cuda.multiprocessors);
  const auto at_once = [&](int blocks) {
    const HopperPlan plan{.cluster_rows = blocks};
    int clusters = 0;
    const Status s = hopper_clusters_at_once(cuda, hopper_kernel<HopperEnd::kMap>(DType::kF16, plan), plan, clusters);
    return s ? std::min(clusters, undivided.clusters(blocks)) : undivided.clusters(blocks);
  };
  return {undivided.ones, at_once(2), at_once(4)};
}

std::shared_ptr<const PreparedConv<Cuda>> prepare_hopper(const Conv& conv, const HopperPlan& plan,
                                                         const ConvParameters& parameters, const std::string& name,
                                                         PackCache& cache) {
  return std::make_shared<HopperMap>(conv, plan, parameters, name, cache);
}

}  // namespace mfs::core
