#include "kernels/cpu/onednn.h"
#include "kernels/cpu/onednn_call.h"
#include "kernels/cpu/signal_guard.h"

namespace mfs::core {
namespace {

using namespace onednn;  // NOLINT: this file is one of its users

struct MatmulWeights final : PackedWeights {
  MatmulWeights(dnnl::memory w, std::vector<float> b) : weights(std::move(w)), bias(std::move(b)) {}
  dnnl::memory weights;
  std::vector<float> bias;
};
using SharedWeights = std::shared_ptr<const MatmulWeights>;

dnnl::matmul::primitive_desc describe(const BatchedMatmul::Problem& p) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::memory::desc src({p.batch, p.rows, p.inner}, type_of(p.dtype), Tag::abc);
  const dnnl::memory::desc weights({p.batch, p.inner, p.outer}, type_of(p.dtype), Tag::any);
  const dnnl::memory::desc dst({p.batch, p.rows, p.outer}, Type::f32, Tag::abc);
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), src, weights, dst, attr};
#else
  return {{src, weights, dst}, attr, engine()};
#endif
}

SharedWeights pack(const BatchedMatmul::Problem& p, const ConvParameters& parameters, const dnnl::memory::desc& layout) {
  std::vector<float> bias(static_cast<std::size_t>(p.outer));
  dnnl::memory from({{p.batch, p.inner, p.outer}, Type::f32, Tag::abc}, engine()), to(layout, engine());
  parameters(static_cast<float*>(from.get_data_handle()), nullptr, bias.data());
  reorder(from, to);
  return std::make_shared<MatmulWeights>(std::move(to), std::move(bias));
}

class OneDnnMatmul final : public BatchedMatmul {
 public:
  OneDnnMatmul(const dnnl::matmul::primitive_desc& pd, SharedWeights packed)
      : src_(pd.src_desc()),
        dst_(pd.dst_desc()),
        scratchpad_(pd.scratchpad_desc()),
        primitive_(pd),
        packed_(std::move(packed)) {}

  std::size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  const float* bias() const override { return packed_->bias.data(); }

  Status run(const Cpu& cpu, const void* src, float* dst, std::byte* scratch) const override {
    Arguments arguments;
    arguments.add(DNNL_ARG_SRC, src_, src);
    arguments.add(DNNL_ARG_WEIGHTS, packed_->weights);
    arguments.add(DNNL_ARG_DST, dst_, dst);
    arguments.add(DNNL_ARG_SCRATCHPAD, scratchpad_, scratch);
    const SignalGuard guard;
    return arguments.execute(cpu, primitive_);
  }

 private:
  dnnl::memory::desc src_, dst_, scratchpad_;
  dnnl::matmul primitive_;
  SharedWeights packed_;
};

}  // namespace

std::shared_ptr<const BatchedMatmul> prepare_matmul(const Cpu& cpu, const BatchedMatmul::Problem& p,
                                                    const ConvParameters& parameters, const std::string& name,
                                                    PackCache& cache) {
  const ThreadScope threads(cpu.threads);
  return translated(name, [&] {
    auto pd = describe(p);
    const dnnl::memory::desc layout = pd.weights_desc();
    auto packed = cache.get(name + layout_key(layout), [&] { return pack(p, parameters, layout); });
    return std::make_shared<OneDnnMatmul>(pd, std::static_pointer_cast<const MatmulWeights>(std::move(packed)));
  });
}

}  // namespace mfs::core
