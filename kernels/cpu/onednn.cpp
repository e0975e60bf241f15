// The one file that knows oneDNN's C++ interface, both the 2.x of Debian 12 and the 3.x of newer systems.
#include "kernels/cpu/onednn.h"

#include <omp.h>

#include <array>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/error.h"

namespace mfs::core {

namespace {

struct OneDnnWeights final : PackedWeights {
  OneDnnWeights(dnnl::memory w, dnnl::memory b) : weights(std::move(w)), bias(std::move(b)) {}
  dnnl::memory weights, bias;
};
using SharedWeights = std::shared_ptr<const OneDnnWeights>;

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// oneDNN takes its thread count from OpenMP's setting of the calling thread.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

Type type_of(DType t) { return t == DType::kBF16 ? Type::bf16 : Type::f32; }

dnnl::memory::desc activations(const Shape& s, DType t, int pitch) {
  const std::int64_t p = pitch ? pitch : s.c;
  return {{s.n, s.c, s.h, s.w}, type_of(t), Dims{p * s.w * s.h, 1, p * s.w, p}};
}

dnnl::convolution_forward::primitive_desc describe(const Conv& c) {
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

  const dnnl::memory::desc src = activations(c.src, c.dtype, c.src_pitch), dst = activations(c.dst, c.dtype, c.dst_pitch);
  const dnnl::memory::desc weights({c.dst.c, c.src.c, c.kernel, c.kernel}, type_of(c.dtype), Tag::any);
  const dnnl::memory::desc bias({c.dst.c}, Type::f32, Tag::x);
  const Dims strides{c.stride, c.stride}, dilates{c.dilation - 1, c.dilation - 1}, pad{c.pad, c.pad};
  // The far padding follows from the output size; oneDNN checks that they agree.
  const auto far = [&](int in, int out) {
    return std::int64_t{out - 1} * c.stride + std::int64_t{c.dilation} * (c.kernel - 1) + 1 - in - c.pad;
  };
  const Dims pad_far{far(c.src.h, c.dst.h), far(c.src.w, c.dst.w)};
  constexpr auto kProp = dnnl::prop_kind::forward_inference;
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kProp, kAlgorithm, src, weights, bias, dst, strides, dilates, pad, pad_far, attr};
#else
  return {{kProp, kAlgorithm, src, weights, bias, dst, strides, dilates, pad, pad_far}, attr, engine()};
#endif
}

// Parameters into `wanted` layout; `plain` describes what `parameters` writes.
std::shared_ptr<const PackedWeights> pack(const ConvParameters& parameters, const dnnl::memory::desc& plain,
                                          std::int64_t biases, const dnnl::memory::desc& wanted) {
  dnnl::memory bias({{biases}, Type::f32, Tag::x}, engine());
  dnnl::memory from(plain, engine()), to(wanted, engine());
  parameters(static_cast<float*>(from.get_data_handle()), nullptr, static_cast<float*>(bias.get_data_handle()));
  dnnl::stream stream(engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  return std::make_shared<OneDnnWeights>(std::move(to), std::move(bias));
}

template <typename Make>
SharedWeights shared_weights(PackCache& cache, const std::string& key, const Make& make) {
  return std::static_pointer_cast<const OneDnnWeights>(cache.get(key, make));
}

// Two layouts are the same when their descriptors are; the bytes of a descriptor are a key.
std::string layout_key(const dnnl::memory::desc& d) {
#if DNNL_VERSION_MAJOR >= 3
  const std::vector<std::uint8_t> blob = const_cast<dnnl::memory::desc&>(d).get_blob();
  return {blob.begin(), blob.end()};
#else
  return {reinterpret_cast<const char*>(&d.data), sizeof d.data};
#endif
}

#if DNNL_VERSION_MAJOR >= 3
const_dnnl_memory_desc_t raw(const dnnl::memory::desc& d) { return d.get(); }
#else
const dnnl_memory_desc_t* raw(const dnnl::memory::desc& d) { return &d.data; }
#endif

// What a primitive is executed with. Through oneDNN's C interface, whose allocations are oneDNN's alone: the C++ one would make
// reference counts and a hash table for every call.
class Arguments {
 public:
  Arguments() = default;
  ~Arguments() {
    for (std::size_t i = 0; i < made_; ++i) dnnl_memory_destroy(memories_[i]);
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  void add(int index, const dnnl::memory& m) { list_[count_++] = {index, m.get()}; }
  void add(int index, const dnnl::memory::desc& layout, const void* at) {
    if (status_ != dnnl_success) return;
    status_ = dnnl_memory_create(&memories_[made_], raw(layout), engine().get(), const_cast<void*>(at));
    if (status_ == dnnl_success) list_[count_++] = {index, memories_[made_++]};
  }
  dnnl_status_t execute(const dnnl::primitive& primitive) const {
    if (status_ != dnnl_success) return status_;
    dnnl_stream_t stream = nullptr;
    if (const dnnl_status_t s = dnnl_stream_create(&stream, engine().get(), dnnl_stream_default_flags); s != dnnl_success)
      return s;
    dnnl_status_t s = dnnl_primitive_execute(primitive.get(), stream, static_cast<int>(count_), list_.data());
    if (s == dnnl_success) s = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
    return s;
  }

 private:
  static constexpr std::size_t kMost = 5;
  std::array<dnnl_exec_arg_t, kMost> list_{};
  std::array<dnnl_memory_t, kMost> memories_{};
  std::size_t count_ = 0, made_ = 0;
  dnnl_status_t status_ = dnnl_success;
};

Status execute(const Cpu& cpu, const dnnl::primitive& primitive, const Arguments& arguments) {
  const ThreadScope threads(cpu.threads);
  const dnnl_status_t s = arguments.execute(primitive);
  if (s == dnnl_success) return {};
  if (s == dnnl_out_of_memory) return {Code::kOutOfMemory, {}};
  return {Code::kInternal, "oneDNN: status " + std::to_string(static_cast<int>(s))};
}

class OneDnnConv final : public PreparedConv<Cpu> {
 public:
  OneDnnConv(const Conv& problem, const dnnl::convolution_forward::primitive_desc& pd, SharedWeights packed)
      : problem_(problem),
        src_(pd.src_desc()),
        dst_(pd.dst_desc()),
        scratchpad_(pd.scratchpad_desc()),
        primitive_(pd),
        packed_(std::move(packed)),
        algorithm_(pd.impl_info_str()) {}

  std::size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cpu& cpu, const ConvArguments& a) const override {
    if (problem_.residual && a.residual.data != a.dst.data) copy(cpu, a.residual, a.dst);
    Arguments arguments;
    arguments.add(DNNL_ARG_SRC, src_, a.src.data);
    arguments.add(DNNL_ARG_WEIGHTS, packed_->weights);
    arguments.add(DNNL_ARG_BIAS, packed_->bias);
    arguments.add(DNNL_ARG_DST, dst_, a.dst.data);
    arguments.add(DNNL_ARG_SCRATCHPAD, scratchpad_, a.scratch);
    return execute(cpu, primitive_, arguments);
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
  dnnl::memory::desc src_, dst_, scratchpad_;
  dnnl::convolution_forward primitive_;
  SharedWeights packed_;
  std::string algorithm_;
};

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

class OneDnnMatmul final : public BatchedMatmul {
 public:
  OneDnnMatmul(const dnnl::matmul::primitive_desc& pd, SharedWeights packed)
      : src_(pd.src_desc()),
        dst_(pd.dst_desc()),
        scratchpad_(pd.scratchpad_desc()),
        primitive_(pd),
        packed_(std::move(packed)) {}

  std::size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  const float* bias() const override { return static_cast<const float*>(packed_->bias.get_data_handle()); }

  Status run(const Cpu& cpu, const void* src, float* dst, std::byte* scratch) const override {
    Arguments arguments;
    arguments.add(DNNL_ARG_SRC, src_, src);
    arguments.add(DNNL_ARG_WEIGHTS, packed_->weights);
    arguments.add(DNNL_ARG_DST, dst_, dst);
    arguments.add(DNNL_ARG_SCRATCHPAD, scratchpad_, scratch);
    return execute(cpu, primitive_, arguments);
  }

 private:
  dnnl::memory::desc src_, dst_, scratchpad_;
  dnnl::matmul primitive_;
  SharedWeights packed_;
};

// Runs `make`, with oneDNN's errors as ours.
template <typename Make>
auto translated(const std::string& name, const Make& make) {
  try {
    return make();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw Error(Code::kOutOfMemory, "out of memory while packing " + name);
    throw Error(Code::kUnsupported, "oneDNN cannot do " + name + ": " + e.what());
  }
}

}  // namespace

bool has_conv(const Cpu&, DType dtype) {
  if (dtype != DType::kBF16) return dtype == DType::kF32;
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
    auto pd = describe(c);
    const dnnl::memory::desc layout = pd.weights_desc();
    const dnnl::memory::desc plain({c.dst.c, c.src.c, c.kernel, c.kernel}, Type::f32, Tag::oihw);
    auto packed = shared_weights(cache, name + layout_key(layout), [&] { return pack(parameters, plain, c.dst.c, layout); });
    return std::make_shared<OneDnnConv>(c, pd, std::move(packed));
  });
}

std::shared_ptr<const BatchedMatmul> prepare_matmul(const Cpu& cpu, const BatchedMatmul::Problem& p,
                                                    const ConvParameters& parameters, const std::string& name,
                                                    PackCache& cache) {
  const ThreadScope threads(cpu.threads);
  return translated(name, [&] {
    auto pd = describe(p);
    const dnnl::memory::desc layout = pd.weights_desc();
    const dnnl::memory::desc plain({p.batch, p.inner, p.outer}, Type::f32, Tag::abc);
    auto packed = shared_weights(cache, name + layout_key(layout), [&] { return pack(parameters, plain, p.outer, layout); });
    return std::make_shared<OneDnnMatmul>(pd, std::move(packed));
  });
}

}  // namespace mfs::core
