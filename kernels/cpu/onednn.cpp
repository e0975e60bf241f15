// Direct convolutions by oneDNN: f32, bf16, and int8.
#include "kernels/cpu/onednn.h"

#include <cstring>

#include "kernels/cpu/onednn_call.h"
#include "kernels/cpu/parallel.h"
#include "kernels/narrow_weights.h"

namespace mfs::core {
namespace {

using namespace onednn;  // NOLINT: this file is one of its users

// oneDNN multiplies u8 by s8 with vpmaddubsw where the processor has no VNNI: two products are added in 16 bits, which
// saturate. 2 * 255 * 64 fits. The same weights are used on every processor, so that all compute the same sums.
constexpr int kLargestWeight = 64;

struct ConvWeights final : PackedWeights {
  ConvWeights(dnnl::memory w, std::vector<float> b, std::vector<float> s)
      : weights(std::move(w)), bias(std::move(b)), scales(std::move(s)) {}
  dnnl::memory weights;
  std::vector<float> bias, scales;  // scales: int8 only, by output channel
};
using SharedWeights = std::shared_ptr<const ConvWeights>;

bool is_int8(const Conv& c) { return c.dtype == DType::kU8; }

dnnl::memory::desc activations(const Shape& s, DType t, int pitch) {
  const std::int64_t p = pitch ? pitch : s.c;
  return {{s.n, s.c, s.h, s.w}, type_of(t), Dims{p * s.w * s.h, 1, p * s.w, p}};
}

Dims weight_dims(const Conv& c) { return {c.dst.c, c.src.c, c.kernel, c.kernel}; }

// int8: `scales`, by output channel, turn sums of integers into what is stored.
dnnl::primitive_attr attributes(const Conv& c, [[maybe_unused]] const std::vector<float>& scales) {
  dnnl::post_ops post;
  if (c.residual) post.append_sum(1.0f);
#if DNNL_VERSION_MAJOR >= 3
  if (c.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#else
  if (c.relu) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
  dnnl::primitive_attr attr;
  attr.set_post_ops(post);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  if (is_int8(c)) attr.set_scales_mask(DNNL_ARG_WEIGHTS, 1 << 0);  // their values are an argument of the run
#else
  if (is_int8(c)) attr.set_output_scales(1 << 1, scales);
#endif
  return attr;
}

dnnl::convolution_forward::primitive_desc describe(const Conv& c, const std::vector<float>& scales) {
  const dnnl::memory::desc src = activations(c.src, c.dtype, c.src_pitch), dst = activations(c.dst, dst_dtype(c), c.dst_pitch);
  const dnnl::memory::desc weights(weight_dims(c), is_int8(c) ? Type::s8 : type_of(c.dtype), Tag::any);
  const dnnl::memory::desc bias({c.dst.c}, Type::f32, Tag::x);
  const Dims strides{c.stride, c.stride}, dilates{c.dilation - 1, c.dilation - 1}, pad{c.pad, c.pad};
  // The far padding follows from the output size; oneDNN checks that they agree.
  const auto far = [&](int in, int out) {
    return std::int64_t{out - 1} * c.stride + std::int64_t{c.dilation} * (c.kernel - 1) + 1 - in - c.pad;
  };
  const Dims pad_far{far(c.src.h, c.dst.h), far(c.src.w, c.dst.w)};
  constexpr auto kProp = dnnl::prop_kind::forward_inference;
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
  const dnnl::primitive_attr attr = attributes(c, scales);
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kProp, kAlgorithm, src, weights, bias, dst, strides, dilates, pad, pad_far, attr};
#else
  return {{kProp, kAlgorithm, src, weights, bias, dst, strides, dilates, pad, pad_far}, attr, engine()};
#endif
}

dnnl::convolution_forward::primitive_desc describe(const Conv& c) {
  return describe(c, std::vector<float>(static_cast<std::size_t>(c.dst.c), 1.0f));
}

// Parameters in the layout that oneDNN wants.
SharedWeights pack(const Conv& c, const ConvParameters& parameters, const dnnl::memory::desc& wanted) {
  std::vector<float> bias(static_cast<std::size_t>(c.dst.c)), scales;
  dnnl::memory from({weight_dims(c), Type::f32, Tag::oihw}, engine()), to(wanted, engine());
  auto* const values = static_cast<float*>(from.get_data_handle());
  parameters(values, nullptr, bias.data());
  if (is_int8(c)) {
    scales.resize(bias.size());
    dnnl::memory rounded({weight_dims(c), Type::s8, Tag::oihw}, engine());
    round_weights(values, c.dst.c, std::int64_t{c.src.c} * c.kernel * c.kernel,
                  static_cast<std::int8_t*>(rounded.get_data_handle()), scales.data(), kLargestWeight);
    reorder(rounded, to);
  } else {
    reorder(from, to);
  }
  return std::make_shared<ConvWeights>(std::move(to), std::move(bias), std::move(scales));
}

// What follows the sums of integers: real = sum * src_scale * weight_scale + bias, in steps of dst.
struct Rescaling {
  std::vector<float> scales, bias;
};

Rescaling rescaling(const Conv& c, const ConvWeights& w) {
  Rescaling r{w.scales, w.bias};
  const double dst = c.dst_scale > 0 ? c.dst_scale : 1.0;
  for (std::size_t o = 0; o < r.scales.size(); ++o) {
    const double product = double{c.src_scale} * w.scales[o];
    r.scales[o] = static_cast<float>(product / dst);
    // 2.x adds the bias before it multiplies, 3.x afterwards.
    r.bias[o] = static_cast<float>(w.bias[o] / (DNNL_VERSION_MAJOR >= 3 ? dst : product));
  }
  return r;
}

class OneDnnConv final : public PreparedConv<Cpu> {
 public:
  OneDnnConv(const Conv& problem, dnnl::convolution_forward::primitive_desc pd, SharedWeights packed)
      : problem_(problem), packed_(std::move(packed)), rescaling_(rescaling(problem, *packed_)) {
#if DNNL_VERSION_MAJOR < 3
    if (is_int8(problem)) pd = describe(problem, rescaling_.scales);  // they are a part of it
    if (pd.weights_desc() != packed_->weights.get_desc())
      throw Error(Code::kUnsupported, "oneDNN wants the weights in another layout than before");
#endif
    src_ = pd.src_desc(), dst_ = pd.dst_desc(), bias_ = pd.bias_desc(), scratchpad_ = pd.scratchpad_desc();
    primitive_ = dnnl::convolution_forward(pd);
    algorithm_ = pd.impl_info_str();
  }

  std::size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cpu& cpu, const ConvArguments& a) const override {
    if (problem_.residual && a.residual.data != a.dst.data) copy(cpu, a.residual, a.dst);
    Arguments arguments;
    arguments.add(DNNL_ARG_SRC, src_, a.src.data);
    arguments.add(DNNL_ARG_WEIGHTS, packed_->weights);
    arguments.add(DNNL_ARG_BIAS, bias_, rescaling_.bias.data());
#if DNNL_VERSION_MAJOR >= 3
    if (is_int8(problem_)) arguments.add(DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, bias_, rescaling_.scales.data());
#endif
    arguments.add(DNNL_ARG_DST, dst_, a.dst.data);
    arguments.add(DNNL_ARG_SCRATCHPAD, scratchpad_, a.scratch);
    return arguments.execute(cpu, primitive_);
  }

 private:
  static void copy(const Cpu& cpu, const View& from, const MutView& to) {
    const std::size_t element = size_of(to.dtype), bytes = element * to.shape.c;
    parallel_ranges(cpu, to.shape.pixels(), [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t p = begin; p < end; ++p)
        std::memcpy(static_cast<std::byte*>(to.data) + p * to.pitch * element,
                    static_cast<const std::byte*>(from.data) + p * from.pitch * element, bytes);
    });
  }

  Conv problem_;
  SharedWeights packed_;
  Rescaling rescaling_;
  dnnl::memory::desc src_, dst_, bias_, scratchpad_;  // bias_: also of scales
  dnnl::convolution_forward primitive_;
  std::string algorithm_;
};

}  // namespace

bool has_conv(const Cpu&, DType dtype) {
  if (dtype == DType::kU8 || dtype == DType::kF32) return true;
  if (dtype != DType::kBF16) return false;
  static const bool bf16 = [] {  // which instructions oneDNN wants for it is its own business: it is asked
    try {
      describe(Conv{.src = {1, 8, 8, 64}, .dst = {1, 8, 8, 64}, .dtype = DType::kBF16});
      return true;
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return bf16;
}

std::shared_ptr<const PreparedConv<Cpu>> prepare_direct(const Cpu& cpu, const Conv& c, const ConvParameters& parameters,
                                                        const std::string& name, PackCache& cache) {
  const ThreadScope threads(cpu.threads);
  return translated(name, [&] {
    const auto pd = describe(c);
    const dnnl::memory::desc layout = pd.weights_desc();
    auto packed = cache.get(name + layout_key(layout), [&] { return pack(c, parameters, layout); });
    return std::make_shared<OneDnnConv>(c, pd, std::static_pointer_cast<const ConvWeights>(std::move(packed)));
  });
}

}  // namespace mfs::core
