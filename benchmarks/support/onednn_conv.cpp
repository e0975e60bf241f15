#include "benchmarks/support/onednn_conv.h"

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <unordered_map>
#include <vector>

namespace mfs::bench {
namespace {

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

Type type_of(core::DType t) { return t == core::DType::kBF16 ? Type::bf16 : t == core::DType::kU8 ? Type::u8 : Type::f32; }

// int8 without its scales: they change no time.
dnnl::convolution_forward::primitive_desc describe(const core::Conv& c) {
  const auto any = [](Dims dims, Type type) { return dnnl::memory::desc(std::move(dims), type, Tag::any); };
  const dnnl::memory::desc src = any({c.src.n, c.src.c, c.src.h, c.src.w}, type_of(c.dtype));
  const dnnl::memory::desc dst = any({c.dst.n, c.dst.c, c.dst.h, c.dst.w}, type_of(dst_dtype(c)));
  const Type of_weights = c.dtype == core::DType::kU8 ? Type::s8 : type_of(c.dtype);
  const dnnl::memory::desc weights = any({c.dst.c, c.src.c, c.kernel, c.kernel}, of_weights),
                           bias({c.dst.c}, Type::f32, Tag::x);
  const Dims strides{c.stride, c.stride}, dilates{c.dilation - 1, c.dilation - 1}, pad{c.pad, c.pad};
  const auto far = [&](int in, int out) {
    return std::int64_t{out - 1} * c.stride + std::int64_t{c.dilation} * (c.kernel - 1) + 1 - in - c.pad;
  };
  const Dims pad_far{far(c.src.h, c.dst.h), far(c.src.w, c.dst.w)};
  dnnl::post_ops post;
  if (c.residual) post.append_sum(1.0f);
  dnnl::primitive_attr attr;
  constexpr auto kProp = dnnl::prop_kind::forward_inference;
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  if (c.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  attr.set_post_ops(post);
  return {engine(), kProp, kAlgorithm, src, weights, bias, dst, strides, dilates, pad, pad_far, attr};
#else
  if (c.relu) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  attr.set_post_ops(post);
  return {{kProp, kAlgorithm, src, weights, bias, dst, strides, dilates, pad, pad_far}, attr, engine()};
#endif
}

// Small numbers in oneDNN's layout: zeros would be too kind to the processor, denormals too cruel.
dnnl::memory filled(const dnnl::memory::desc& wanted, const Dims& dims, bool wanted_integers = false) {
  std::int64_t elements = 1;
  for (const std::int64_t d : dims) elements *= d;
  std::vector<float> values(static_cast<std::size_t>(elements));
  std::minstd_rand random(1);
  const float most = wanted_integers ? 64 : 0.1f;
  for (float& v : values) v = std::uniform_real_distribution<float>(-most, most)(random);
  const Tag plain = dims.size() == 4 ? Tag::nchw : Tag::x;
  dnnl::memory from({dims, Type::f32, plain}, engine(), values.data()), to(wanted, engine());
  dnnl::stream stream(engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  return to;
}

}  // namespace

struct OneDnnConv::Primitive {
  dnnl::convolution_forward run;
  dnnl::memory src, dst;
  std::unordered_map<int, dnnl::memory> arguments;
  std::size_t src_bytes = 0, dst_bytes = 0;
  dnnl::stream stream{engine()};
  std::string algorithm;
  int threads = 1;
};

OneDnnConv::OneDnnConv(const core::Cpu& cpu, const core::Conv& c) : primitive_(std::make_unique<Primitive>()) {
  omp_set_num_threads(cpu.threads);
  const auto pd = describe(c);
  primitive_->threads = cpu.threads;
  primitive_->algorithm = pd.impl_info_str();
  primitive_->run = dnnl::convolution_forward(pd);
  primitive_->src_bytes = pd.src_desc().get_size();
  primitive_->dst_bytes = pd.dst_desc().get_size();
  primitive_->src = dnnl::memory(pd.src_desc(), engine(), nullptr);
  primitive_->dst = dnnl::memory(pd.dst_desc(), engine(), nullptr);
  primitive_->arguments = {
      {DNNL_ARG_SRC, primitive_->src},
      {DNNL_ARG_DST, primitive_->dst},
      {DNNL_ARG_WEIGHTS, filled(pd.weights_desc(), {c.dst.c, c.src.c, c.kernel, c.kernel}, c.dtype == core::DType::kU8)},
      {DNNL_ARG_BIAS, filled(pd.bias_desc(), {c.dst.c})}};
}

OneDnnConv::~OneDnnConv() = default;
OneDnnConv::OneDnnConv(OneDnnConv&&) noexcept = default;

std::size_t OneDnnConv::src_bytes() const { return primitive_->src_bytes; }
std::size_t OneDnnConv::dst_bytes() const { return primitive_->dst_bytes; }

void OneDnnConv::run(void* src, void* dst) const {
  omp_set_num_threads(primitive_->threads);
  primitive_->src.set_data_handle(src);
  primitive_->dst.set_data_handle(dst);
  primitive_->run.execute(primitive_->stream, primitive_->arguments);
  primitive_->stream.wait();
}

const std::string& OneDnnConv::algorithm() const { return primitive_->algorithm; }

}  // namespace mfs::bench
