// The end of the pyramid head in the Hopper family.
#include "kernels/check.h"
#include "kernels/cuda/conv_hopper_kernels.h"
#include "kernels/cuda/conv_hopper_pack.h"

namespace mfs::core {
namespace {

class HopperConvHead final : public PreparedConvHead {
 public:
  HopperConvHead(const ConvHead& head, const HopperPlan& plan, const ConvParameters& parameters, const LogitParameters& logit,
                 const std::string& name, PackCache& cache)
      : head_(head),
        tiles_(hopper_head_tiles(head)),
        conv_(head.conv, tiles_.geometry, plan, hopper_kernel<HopperEnd::kLogit>(head.conv.dtype, plan), parameters, name,
              cache),
        parts_(hopper_logit_parts(head, plan)),
        bias_(logit.bias),
        weights_(on_device(for_whole_tiles(logit.weights))),
        columns_(on_device(tiles_.columns.pixels)) {
    const Shape& dst = head.conv.dst;
    const auto in_floats = [](const Lerp& l, int step) { return Lerp{l.lo * step, l.hi * step, l.t}; };
    std::vector<Lerp> rows, nodes;
    for (int y = 0; y < dst.h; ++y)
      for (const int bins : head.bins) rows.push_back(in_floats(lerp_at(y, bins, dst.h, head.align_corners), bins * dst.c));
    for (const Lerp& place : tiles_.columns.places) nodes.push_back(in_floats(place, dst.c));
    rows_ = on_device(rows), nodes_ = on_device(nodes);
  }

  const std::string& algorithm() const override { return conv_.algorithm(); }

  Status run(const Cuda& cuda, const ConvHeadArguments& a) const override {
    const Shape& dst = head_.conv.dst;
    if (Status s = check_dense_f32("conv_head", "logit", a.logit); !s) return s;
    if (Status s = check_shape("conv_head", "logit", a.logit, {dst.n, dst.h, dst.w, parts_}); !s) return s;
    if (a.priors.size() != head_.bins.size()) return refuse("conv_head", "one prior for every number of bins is needed");
    HopperConvParams params{};
    HopperHeadParams& p = params.head;
    for (std::size_t i = 0; i < a.priors.size(); ++i) {
      const int bins = head_.bins[i];
      if (Status s = check_dense_f32("conv_head", "a prior", a.priors[i]); !s) return s;
      if (Status s = check_shape("conv_head", "a prior", a.priors[i], {dst.n, bins, bins, dst.c}); !s) return s;
      if (!vectorises({a.priors[i]})) return refuse("conv_head", "a prior is not aligned to 16 bytes");
      p.priors[i] = {static_cast<const float*>(a.priors[i].data), bins * bins * dst.c};
    }
    const auto lerps = [](const CudaMemory& m) { return reinterpret_cast<const Lerp*>(m.data()); };
    p.levels = static_cast<int>(a.priors.size());
    p.rows = lerps(rows_), p.columns = lerps(columns_), p.nodes = lerps(nodes_);
    p.node_count = tiles_.columns.count, p.table_rows = tiles_.rows, p.row_nodes = tiles_.row_nodes;
    p.weights = reinterpret_cast<const float*>(weights_.data()), p.bias = bias_;
    p.logit = static_cast<float*>(a.logit.data), p.parts = parts_;
    return conv_.run(cuda, {a.src, {}, a.joined, {}}, params);
  }

 private:
  ConvHead head_;
  HopperHeadTiles tiles_;
  HopperConvolution conv_;
  int parts_;
  float bias_;
  CudaMemory weights_, columns_, rows_, nodes_;
};

}  // namespace

std::shared_ptr<const PreparedConvHead> prepare_hopper_head(const ConvHead& head, const HopperPlan& plan,
                                                            const ConvParameters& parameters, const LogitParameters& logit,
                                                            const std::string& name, PackCache& cache) {
  return std::make_shared<HopperConvHead>(head, plan, parameters, logit, name, cache);
}

}  // namespace mfs::core
