// Convolution on CUDA: packing, the choice of a kernel, launches.
#include "kernels/conv.h"

#include <optional>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/cuda/conv_check.h"
#include "kernels/cuda/conv_family.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/cuda/conv_mma.h"
#include "kernels/cuda/conv_plan.h"
#include "kernels/cuda/conv_weights.h"
#include "kernels/cuda/hopper.h"
#include "kernels/error.h"
#include "kernels/float16.h"

namespace mfs::core {
namespace {

// A convolution whose kernel and strides may differ along the axes.
struct Geometry {
  int in_w, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, channels, src_pitch;
  int pair_offset = -1;  // >= 0: every pixel is a pair of the photo's; the number of the pair's pixels before the window
};

Geometry geometry_of(const Conv& c) {
  const int pitch = c.src_pitch ? c.src_pitch : c.src.c;
  Geometry g{c.src.w, c.kernel, c.kernel, c.stride, c.stride, c.pad, c.pad, c.src.c, pitch};
  // A stem: four channels at stride 2. Two neighbouring pixels are one of eight channels, whose windows move by one.
  const bool stem = c.kernel > 1 && c.stride == 2 && c.dilation == 1 && c.src.c == 4 && pitch == 4 && c.src.w % 2 == 0;
  if (!stem) return g;
  g.in_w = c.src.w / 2, g.channels = g.src_pitch = 8, g.stride_w = 1;
  g.pad_w = (c.pad + 1) / 2;
  g.pair_offset = 2 * g.pad_w - c.pad;
  g.kernel_w = (g.pair_offset + c.kernel + 1) / 2;
  return g;
}

int chunks_of(int channels) { return (channels + kChunk - 1) / kChunk; }
int steps_of(const Conv& c, const Geometry& g) {
  const int chunks = g.kernel_h * g.kernel_w * chunks_of(g.channels) + chunks_of(c.joined.c);
  return (chunks + kStepChunks - 1) / kStepChunks;
}

// Rows of K for every output channel: taps, then joined, chunks padded with zeros.
template <typename Element>
std::vector<Element> pack(const Conv& c, const Geometry& g, const ConvF32Parameters& from) {
  const std::int64_t row = std::int64_t{steps_of(c, g)} * kStepChunks * kChunk;
  std::vector<Element> packed(static_cast<std::size_t>(c.dst.c * row), Element(0.0f));
  for (int o = 0; o < c.dst.c; ++o) {
    Element* to = packed.data() + o * row;
    for (int tap = 0; tap < g.kernel_h * g.kernel_w; ++tap, to += chunks_of(g.channels) * kChunk) {
      for (int e = 0; e < g.channels; ++e) {
        const int channel = g.pair_offset < 0 ? e : e % 4, y = tap / g.kernel_w;
        const int x = g.pair_offset < 0 ? tap % g.kernel_w : tap % g.kernel_w * 2 + e / 4 - g.pair_offset;
        if (x < 0 || x >= c.kernel) continue;
        const std::int64_t filter = std::int64_t{o} * c.src.c + channel;
        to[e] = Element(from.weights[static_cast<std::size_t>((filter * c.kernel + y) * c.kernel + x)]);
      }
    }
    for (int e = 0; e < c.joined.c; ++e)
      to[e] = Element(from.joined[static_cast<std::size_t>(std::int64_t{o} * c.joined.c + e)]);
  }
  return packed;
}

template <typename Element>
std::shared_ptr<const ConvWeights> packed_weights(const Conv& c, const Geometry& g, const ConvParameters& parameters) {
  const ConvF32Parameters from(c, parameters);
  return on_device(pack<Element>(c, g, from), from.bias);
}

bool aligned(const View& v) { return vectorises({v}); }

template <class Tile>
constexpr bool is_modelled_by(const ConvTileModel& m) {
  return m.rows == Tile::kRows && m.columns == Tile::kColumns && m.shared_bytes == Tile::kSharedBytes &&
         m.most_blocks == Tile::kBlocksPerSm;
}
static_assert(is_modelled_by<ConvTile128x128>(kConvTileModels[0]) && is_modelled_by<ConvTile128x64>(kConvTileModels[1]) &&
              is_modelled_by<ConvTile64x64>(kConvTileModels[2]));

class MmaConv final : public PreparedConv<Cuda> {
 public:
  MmaConv(const Cuda& cuda, const Conv& problem, const ConvParameters& parameters, const std::string& name, PackCache& cache)
      : problem_(problem), geometry_(geometry_of(problem)), steps_(steps_of(problem, geometry_)) {
    const ConvSize size{problem.dst.pixels(), problem.dst.c, steps_};
    plan_ = conv_plans(size, cuda.multiprocessors, cuda.shared_per_multiprocessor).front();
    algorithm_ = plan_.text();
    const bool f16 = problem.dtype == DType::kF16;
    const std::string key = name + (f16 ? "#f16" : "#bf16") + (geometry_.pair_offset < 0 ? "" : "#pairs");
    weights_ = std::static_pointer_cast<const ConvWeights>(cache.get(key, [&] {
      return f16 ? packed_weights<Float16>(problem, geometry_, parameters)
                 : packed_weights<BFloat16>(problem, geometry_, parameters);
    }));
  }

  std::size_t scratch_bytes() const override {
    return plan_.splits == 1 ? 0 : static_cast<std::size_t>(problem_.dst.elements() * plan_.splits) * sizeof(float);
  }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cuda& cuda, const ConvArguments& a) const override {
    return problem_.dtype == DType::kF16 ? run_as<simt::Half>(cuda, a) : run_as<simt::BFloat16>(cuda, a);
  }

 private:
  template <class T>
  ConvMmaParams<T> params(const ConvArguments& a) const {
    const Conv& c = problem_;
    ConvMmaParams<T> p{};
    p.src = static_cast<const T*>(a.src.data);
    p.joined = c.joined.c > 0 ? static_cast<const T*>(a.joined.data) : p.src;
    p.weights = reinterpret_cast<const T*>(weights_->weights.data());
    p.residual = c.residual ? static_cast<const T*>(a.residual.data) : nullptr;
    p.bias = reinterpret_cast<const float*>(weights_->bias.data());
    p.dst = static_cast<T*>(a.dst.data);
    p.partial = plan_.splits > 1 ? reinterpret_cast<float*>(a.scratch) : nullptr;
    p.in_h = c.src.h, p.in_w = geometry_.in_w, p.out_h = c.dst.h, p.out_w = c.dst.w;
    p.rows = static_cast<int>(c.dst.pixels()), p.columns = c.dst.c;
    p.kernel_h = geometry_.kernel_h, p.kernel_w = geometry_.kernel_w;
    p.stride_h = geometry_.stride_h, p.stride_w = geometry_.stride_w, p.dilation = c.dilation;
    p.pad_h = geometry_.pad_h, p.pad_w = geometry_.pad_w, p.channels = geometry_.channels;
    p.joined_channels = c.joined.c, p.joined_h = c.joined.h, p.joined_w = c.joined.w, p.joined_stride = c.joined_stride;
    p.src_pitch = geometry_.src_pitch, p.joined_pitch = a.joined.pitch;
    p.residual_pitch = a.residual.pitch, p.dst_pitch = a.dst.pitch;
    p.steps = steps_, p.splits = plan_.splits, p.steps_per_split = (steps_ + plan_.splits - 1) / plan_.splits;
    p.column_tiles = (c.dst.c + kConvTileModels[plan_.tile].columns - 1) / kConvTileModels[plan_.tile].columns;
    p.relu = c.relu;
    p.vector_store = aligned(a.dst) && (!c.residual || aligned(a.residual));
    return p;
  }

  template <class T>
  Status run_as(const Cuda& cuda, const ConvArguments& a) const {
    const ConvMmaParams<T> p = params<T>(a);
    // Folded pairs: the source's own four channels are not a vector, its pairs of them are.
    const View src = geometry_.pair_offset < 0 ? a.src : View(a.src.data, a.src.dtype, {1, 1, 1, 8});
    const bool vectors = aligned(src) && (problem_.joined.c == 0 || aligned(a.joined));
    Status launched;
    switch (plan_.tile) {
      case 0:
        launched = launch<T, ConvTile128x128>(cuda, p, vectors);
        break;
      case 1:
        launched = launch<T, ConvTile128x64>(cuda, p, vectors);
        break;
      default:
        launched = launch<T, ConvTile64x64>(cuda, p, vectors);
        break;
    }
    if (!launched || plan_.splits == 1) return launched;
    const std::int64_t vectors_of_dst = std::int64_t{p.rows} * chunks_of(p.columns);
    if (Status s = check_items("conv", vectors_of_dst); !s) return s;
    return simt::launch(stream_of(cuda), threads_for("conv sum", vectors_of_dst), conv_sum_kernel<T>, p);
  }

  template <class T, class Tile>
  Status launch(const Cuda& cuda, const ConvMmaParams<T>& p, bool vectors) const {
    simt::LaunchShape shape;
    shape.name = "conv";
    const int row_tiles = (p.rows + Tile::kRows - 1) / Tile::kRows;
    shape.grid = {static_cast<unsigned>(row_tiles * p.column_tiles), static_cast<unsigned>(p.splits), 1};
    shape.block = {Tile::kThreads, 1, 1};
    shape.shared_bytes = Tile::kSharedBytes;
    return simt::launch(stream_of(cuda), shape, vectors ? conv_mma_kernel<T, Tile, true> : conv_mma_kernel<T, Tile, false>, p);
  }

  Conv problem_;
  Geometry geometry_;
  int steps_;
  ConvPlan plan_;
  std::string algorithm_;
  std::shared_ptr<const ConvWeights> weights_;
};

// What the Hopper family does with it, if it is the one to: as was measured, else by the two families' models. Only that family
// has int8 and fp8.
std::optional<HopperPlan> hopper_plan(const Cuda& cuda, const Conv& conv) {
  if (!has_hopper(cuda) || cuda.convolutions == ConvFamily::kPortable || !hopper_takes(conv)) return {};
  const bool must = cuda.convolutions == ConvFamily::kHopper || is_narrow(conv.dtype);
  const std::vector<HopperPlan> plans = hopper_plans(conv, hopper_room(cuda));
  if (const HopperTuned* tuned = tuned_choice(cuda, conv)) {
    if (const auto chosen = tuned->chosen_of(plans)) return chosen;
    if (tuned->portable() && !must) return {};
  }
  const ConvSize size{conv.dst.pixels(), conv.dst.c, steps_of(conv, geometry_of(conv))};
  if (must || plans.front().cycles <= conv_plans(size, cuda.multiprocessors, cuda.shared_per_multiprocessor).front().cycles)
    return plans.front();
  return {};
}

}  // namespace

int sum_parts(const Cuda& cuda, const Conv& conv) {
  Conv summed = conv;
  summed.sums = true;
  if (!check_on_cuda(summed) || !hopper_plan(cuda, summed)) return 0;
  const HopperGeometry g = hopper_geometry(summed);
  return g.tiles_x * g.tiles_y;
}

bool has_conv(const Cuda& cuda, DType dtype) { return is_floating(dtype) || (is_narrow(dtype) && has_hopper(cuda)); }

std::shared_ptr<const PreparedConv<Cuda>> prepare(const Cuda& cuda, const Conv& conv, const ConvParameters& parameters,
                                                  const std::string& name, PackCache& cache) {
  if (const Status s = check_on_cuda(conv); !s) throw Error(s.code(), s.message());
  if (conv.sums && sum_parts(cuda, conv) == 0) throw Error(Code::kUnsupported, "conv: its algorithm writes no sums");
  if (conv.dtype == DType::kF32) return prepare_f32({conv, parameters, name}, cache);
#if MFS_HAVE_HOPPER
  if (const auto plan = hopper_plan(cuda, conv)) return prepare_hopper(conv, *plan, parameters, name, cache);
#endif
  if (is_narrow(conv.dtype))
    throw Error(Code::kUnsupported,
                "conv: int8 and fp8 need a GPU of compute capability 9.0, f16 beside them and channels in multiples of 16");
  return std::make_shared<MmaConv>(cuda, conv, parameters, name, cache);
}

}  // namespace mfs::core
