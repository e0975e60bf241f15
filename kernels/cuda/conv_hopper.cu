// Convolutions of the Hopper family whose result is a map.
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

std::shared_ptr<const PreparedConv<Cuda>> prepare_hopper(const Conv& conv, const HopperPlan& plan,
                                                         const ConvParameters& parameters, const std::string& name,
                                                         PackCache& cache) {
  return std::make_shared<HopperMap>(conv, plan, parameters, name, cache);
}

}  // namespace mfs::core
