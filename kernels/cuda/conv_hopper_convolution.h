// A convolution of the Hopper family on the host, whatever becomes of a finished tile: packing, tensor maps, launches. In
// builds with a target 9.0.
#pragma once

#include <memory>
#include <string>

#include "kernels/cuda/conv_hopper_block.h"
#include "kernels/cuda/conv_weights.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

struct HopperKernel {
  void (*run)(HopperConvParams) = nullptr;
  std::size_t shared_bytes = 0;
  bool cooperative = false;  // every block has one tile, and all run at once
};

// How many clusters of a plan the device has room for.
Status hopper_clusters_at_once(const Cuda& cuda, const HopperKernel& kernel, const HopperPlan& plan, int& clusters);

class HopperConvolution {
 public:
  HopperConvolution(const Conv& problem, const HopperGeometry& geometry, const HopperPlan& plan, const HopperKernel& kernel,
                    const ConvParameters& parameters, const std::string& name, PackCache& cache);

  const std::string& algorithm() const { return algorithm_; }
  const HopperGeometry& geometry() const { return geometry_; }
  const HopperPlan& plan() const { return plan_; }

  // p has what the end of a tile needs. Without a map there is no dst; a residual may be the end's alone.
  Status run(const Cuda& cuda, const ConvArguments& a, HopperConvParams p = {}) const;

 private:
  const HopperTileModel& model() const { return kHopperTiles[plan_.tile]; }
  Status check_sums(const View& sums) const;
  Status make_maps(HopperConvParams& p, const ConvArguments& a) const;
  Status launch(const Cuda& cuda, HopperConvParams p) const;

  Conv problem_;
  HopperPlan plan_;
  HopperKernel kernel_;
  HopperGeometry geometry_;
  std::string algorithm_;
  std::shared_ptr<const ConvWeights> weights_;
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
