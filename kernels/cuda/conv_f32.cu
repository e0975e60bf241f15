// Convolution in f32 on CUDA, one or several in a launch: packing and launches.
#include "kernels/cuda/conv_f32.h"

#include <vector>

#include "kernels/conv_group.h"
#include "kernels/cuda/conv_check.h"
#include "kernels/cuda/conv_weights.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

std::shared_ptr<const ConvWeights> packed(const Conv& c, const ConvParameters& parameters) {
  const ConvF32Parameters from(c, parameters);
  const int taps = c.kernel * c.kernel;
  std::vector<float> rows;
  rows.reserve(from.weights.size() + from.joined.size());
  for (std::int64_t o = 0; o < c.dst.c; ++o) {
    for (int tap = 0; tap < taps; ++tap)
      for (int i = 0; i < c.src.c; ++i) rows.push_back(from.weights[static_cast<std::size_t>((o * c.src.c + i) * taps + tap)]);
    for (int i = 0; i < c.joined.c; ++i) rows.push_back(from.joined[static_cast<std::size_t>(o * c.joined.c + i)]);
  }
  return on_device(rows, from.bias);
}

bool fours(const View& v) {
  return v.shape.c % 4 == 0 && v.pitch % 4 == 0 && reinterpret_cast<std::uintptr_t>(v.data) % 16 == 0;
}

class F32ConvGroup final : public PreparedConvGroup {
 public:
  F32ConvGroup(std::span<const GroupedConv> problems, PackCache& cache) {
    if (problems.empty() || problems.size() > kMostGrouped)
      throw Error(Code::kInvalidArgument, "conv: a group is of 1 to " + std::to_string(kMostGrouped));
    for (const GroupedConv& g : problems) {
      if (const Status s = check_on_cuda(g.conv); !s) throw Error(s.code(), s.message());
      if (g.conv.dtype != DType::kF32) throw Error(Code::kInvalidArgument, "conv: a group is of f32");
      problems_.push_back(g.conv);
      weights_.push_back(std::static_pointer_cast<const ConvWeights>(
          cache.get(g.name + "#f32", [&] { return packed(g.conv, g.parameters); })));
    }
  }

  Status run(const Cuda& cuda, std::span<const ConvArguments> arguments) const override {
    ConvF32Group group{};
    if (arguments.size() != problems_.size()) return refuse("conv", "a group needs arguments for each of its convolutions");
    bool vectors = true;
    std::int64_t warps = 0;
    for (std::size_t i = 0; i < problems_.size(); ++i) {
      const Conv& c = problems_[i];
      const ConvArguments& a = arguments[i];
      group.of[i] = params(c, *weights_[i], a);
      vectors = vectors && fours(a.src) && (c.joined.c == 0 || fours(a.joined));
      group.first_warp[i] = static_cast<int>(warps);
      warps += (c.dst.pixels() + kF32Pixels - 1) / kF32Pixels * ((c.dst.c + kF32Channels - 1) / kF32Channels);
      if (Status s = check_items("conv", warps * 32); !s) return s;
    }
    group.count = static_cast<int>(problems_.size());
    return simt::launch(stream_of(cuda), threads_for("conv f32", warps * 32, kF32Threads),
                        vectors ? conv_f32_kernel<4> : conv_f32_kernel<1>, group);
  }

 private:
  static ConvF32Params params(const Conv& c, const ConvWeights& weights, const ConvArguments& a) {
    return {.src = static_cast<const float*>(a.src.data),
            .joined = c.joined.c > 0 ? static_cast<const float*>(a.joined.data) : nullptr,
            .weights = reinterpret_cast<const float*>(weights.weights.data()),
            .bias = reinterpret_cast<const float*>(weights.bias.data()),
            .residual = c.residual ? static_cast<const float*>(a.residual.data) : nullptr,
            .dst = static_cast<float*>(a.dst.data),
            .in = c.src,
            .out = c.dst,
            .joined_shape = c.joined,
            .kernel = c.kernel,
            .stride = c.stride,
            .dilation = c.dilation,
            .pad = c.pad,
            .joined_stride = c.joined_stride,
            .src_pitch = a.src.pitch,
            .joined_pitch = a.joined.pitch,
            .residual_pitch = a.residual.pitch,
            .dst_pitch = a.dst.pitch,
            .relu = c.relu};
  }

  std::vector<Conv> problems_;
  std::vector<std::shared_ptr<const ConvWeights>> weights_;
};

// A group of one.
class F32Conv final : public PreparedConv<Cuda> {
 public:
  F32Conv(const GroupedConv& problem, PackCache& cache) : group_({&problem, 1}, cache) {}
  std::size_t scratch_bytes() const override { return 0; }
  const std::string& algorithm() const override { return algorithm_; }
  Status run(const Cuda& cuda, const ConvArguments& a) const override { return group_.run(cuda, {&a, 1}); }

 private:
  F32ConvGroup group_;
  std::string algorithm_ = "f32";
};

}  // namespace

std::shared_ptr<const PreparedConv<Cuda>> prepare_f32(const GroupedConv& problem, PackCache& cache) {
  return std::make_shared<F32Conv>(problem, cache);
}

std::shared_ptr<const PreparedConvGroup> prepare_group(const Cuda&, std::span<const GroupedConv> problems, PackCache& cache) {
  return std::make_shared<F32ConvGroup>(problems, cache);
}

}  // namespace mfs::core
