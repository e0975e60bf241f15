// The Hopper family of convolutions: packing, tensor maps, launches. Compiled for sm_90a only.
#include "kernels/cuda/conv_hopper.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>

#include "kernels/bfloat16.h"
#include "kernels/check.h"
#include "kernels/cuda/conv_family.h"
#include "kernels/cuda/conv_weights.h"
#include "kernels/error.h"
#include "kernels/float16.h"
#include "kernels/float8.h"
#include "kernels/narrow_weights.h"

namespace mfs::core {
namespace {

constexpr int kWidestColumns = 4 * 256;  // of a cluster

struct HopperKernel {
  void (*run)(HopperConvParams) = nullptr;
  std::size_t shared_bytes = 0;
};
template <class T, std::size_t kModel>
constexpr HopperKernel kernel_of() {
  if constexpr (hopper_has_tile(std::is_same_v<T, simt::E4m3>, kHopperTiles[kModel])) {
    return {conv_hopper_kernel<T, kModel>, HopperTile<kModel>::kSharedBytes};
  } else {
    return {};
  }
}
template <class T, std::size_t... kModels>
constexpr std::array<HopperKernel, sizeof...(kModels)> kernels_of(std::index_sequence<kModels...>) {
  return {kernel_of<T, kModels>()...};
}
// In the order of kHopperTiles.
template <class T>
const auto kKernels = kernels_of<T>(std::make_index_sequence<std::size(kHopperTiles)>());

// Rows of K for every output channel: taps, then joined, each times its scale and padded with zeros to whole steps.
template <typename Element>
std::vector<Element> rows_of_k(const Conv& c, const HopperGeometry& g, const ConvF32Parameters& from, float src_scale,
                               float joined_scale) {
  const int taps = c.kernel * c.kernel;
  const std::int64_t row = std::int64_t{g.steps} * g.depth;
  std::vector<Element> to(static_cast<std::size_t>(c.dst.c * row), Element(0.0f));
  for (std::int64_t o = 0; o < c.dst.c; ++o) {
    Element* k = to.data() + o * row;
    for (int tap = 0; tap < taps; ++tap, k += g.chunks * g.depth) {
      for (int i = 0; i < c.src.c; ++i)
        k[i] = Element(from.weights[static_cast<std::size_t>((o * c.src.c + i) * taps + tap)] * src_scale);
    }
    for (int i = 0; i < c.joined.c; ++i)
      k[i] = Element(from.joined[static_cast<std::size_t>(o * c.joined.c + i)] * joined_scale);
  }
  return to;
}

std::vector<float> for_whole_tiles(std::vector<float> v) {
  v.resize((v.size() + kWidestColumns - 1) / kWidestColumns * kWidestColumns);
  return v;
}

template <typename Element>
std::shared_ptr<const ConvWeights> packed(const Conv& c, const HopperGeometry& g, const ConvParameters& parameters) {
  const ConvF32Parameters from(c, parameters);
  return on_device(rows_of_k<Element>(c, g, from, 1, 1), for_whole_tiles(from.bias));
}

// int8 and fp8: both sources' scales become part of the weights before these are rounded, so that one scale fits the whole sum.
template <typename Rounded>
std::shared_ptr<const ConvWeights> packed_narrow(const Conv& c, const HopperGeometry& g, const ConvParameters& parameters) {
  const ConvF32Parameters from(c, parameters);
  const std::vector<float> rows = rows_of_k<float>(c, g, from, c.src_scale, c.joined_scale);
  std::vector<Rounded> rounded(rows.size());
  std::vector<float> scales(static_cast<std::size_t>(c.dst.c));
  const std::int64_t row = std::int64_t{g.steps} * g.depth;
  round_weights(rows.data(), c.dst.c, row, rounded.data(), scales.data());
  return on_device(rounded, for_whole_tiles(from.bias), for_whole_tiles(scales));
}

// A tensor of pixels as TMA sees it, and the box of one load or store.
struct PixelBox {
  int channels, w, h, step = 1;  // step: between pixels that are loaded
};
simt::ElementType element_type(DType type) {
  if (is_narrow(type)) return simt::ElementType::kU8;  // bytes
  return type == DType::kF16 ? simt::ElementType::kF16 : simt::ElementType::kBF16;
}
simt::TensorShape pixels(const View& v, const Shape& shape, const PixelBox& box) {
  simt::TensorShape t;
  t.type = element_type(v.dtype), t.rank = 4, t.base = v.data;
  const Shape& s = shape;
  const std::uint64_t element = size_of(v.dtype), pixel = std::uint64_t(v.pitch) * element;
  const std::uint64_t extent[] = {std::uint64_t(s.c), std::uint64_t(s.w), std::uint64_t(s.h), std::uint64_t(s.n)};
  const std::uint64_t stride[] = {element, pixel, pixel * extent[1], pixel * extent[1] * extent[2]};
  const int boxes[] = {box.channels, box.w * box.step, box.h * box.step, 1};
  for (int i = 0; i < 4; ++i) {
    t.extent[i] = extent[i], t.stride[i] = stride[i], t.box[i] = static_cast<std::uint32_t>(boxes[i]);
    t.step[i] = i == 1 || i == 2 ? static_cast<std::uint32_t>(box.step) : 1;
  }
  t.swizzle = static_cast<simt::Swizzle>(static_cast<std::uint64_t>(box.channels) * element);
  return t;
}

class HopperConvolution final : public PreparedConv<Cuda> {
 public:
  HopperConvolution(const Conv& problem, const HopperPlan& plan, const ConvParameters& parameters, const std::string& name,
                    PackCache& cache)
      : problem_(problem), plan_(plan), geometry_(hopper_geometry(problem)), algorithm_(plan.text()) {
    const DType type = problem.dtype;
    if (is_narrow(type)) algorithm_ += type == DType::kU8 ? ", int8" : ", fp8";
    weights_ = std::static_pointer_cast<const ConvWeights>(cache.get(name + "#hopper " + name_of(type), [&] {
      if (type == DType::kU8) return packed_narrow<std::int8_t>(problem, geometry_, parameters);
      if (type == DType::kE4m3) return packed_narrow<Float8E4m3>(problem, geometry_, parameters);
      return type == DType::kF16 ? packed<Float16>(problem, geometry_, parameters)
                                 : packed<BFloat16>(problem, geometry_, parameters);
    }));
  }

  std::size_t scratch_bytes() const override { return 0; }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cuda& cuda, const ConvArguments& a) const override {
    HopperConvParams p{};
    if (Status s = make_maps(p, a); !s) return s;
    if (problem_.copy_scale > 0 && (!a.copy || !a.copy.dense() || reinterpret_cast<std::uintptr_t>(a.copy.data) % 16 != 0))
      return refuse("conv", "the copy has no data, or gaps, or an address that is no multiple of 16");
    if (Status s = check_sums(a.sums); !s) return s;
    const Conv& c = problem_;
    const HopperGeometry& g = geometry_;
    const auto groups = [](std::int64_t tiles, int size) { return static_cast<int>((tiles + size - 1) / size); };
    p.bias = reinterpret_cast<const float*>(weights_->bias.data());
    p.scale = reinterpret_cast<const float*>(weights_->scale.data());
    p.to_narrow = is_narrow(dst_dtype(c));
    if (is_narrow(c.dtype)) p.inverse_scale = 1 / (p.to_narrow ? c.dst_scale : c.copy_scale);
    const MutView narrow = p.to_narrow ? a.dst : c.copy_scale > 0 ? a.copy : MutView{};
    p.narrow = static_cast<unsigned char*>(narrow.data), p.narrow_pitch = narrow.pitch;
    p.sums = c.sums ? static_cast<float*>(a.sums.data) : nullptr;
    p.images = g.dst.n, p.out_h = g.dst.h, p.out_w = g.dst.w, p.columns = g.dst.c;
    p.depth = g.depth, p.steps = g.steps, p.src_steps = g.src_steps, p.chunks = g.chunks, p.kernel = c.kernel,
    p.stride = c.stride;
    p.dilation = c.dilation, p.pad = c.pad, p.joined_stride = c.joined_stride;
    p.tile_h = g.tile_h, p.tile_w = g.tile_w, p.tiles_x = g.tiles_x, p.tiles_y = g.tiles_y;
    p.tile_w_bits = std::countr_zero(static_cast<unsigned>(g.tile_w));
    p.cluster_rows = plan_.cluster_rows, p.cluster_columns = plan_.cluster_columns;
    p.row_groups = groups(g.row_tiles(), p.cluster_rows);
    p.column_groups = groups(groups(c.dst.c, model().columns), p.cluster_columns);
    p.has_residual = c.residual, p.relu = c.relu;
    if (c.dtype == DType::kU8) return launch<std::uint8_t>(cuda, p);
    if (c.dtype == DType::kE4m3) return launch<simt::E4m3>(cuda, p);
    return c.dtype == DType::kF16 ? launch<simt::Half>(cuda, p) : launch<simt::BFloat16>(cuda, p);
  }

 private:
  const HopperTileModel& model() const { return kHopperTiles[plan_.tile]; }

  Status check_sums(const View& sums) const {
    if (!problem_.sums) return {};
    if (Status s = check_dense_f32("conv", "sums", sums); !s) return s;
    return check_shape("conv", "sums", sums, {problem_.dst.n, 1, geometry_.tiles_x * geometry_.tiles_y, problem_.dst.c});
  }

  Status make_maps(HopperConvParams& p, const ConvArguments& a) const {
    const HopperGeometry& g = geometry_;
    // A block's share of the pixels that its cluster's row has in common; a warpgroup's half of the tile.
    const bool rows = g.tile_h > 1;
    const int share = plan_.cluster_columns, w = rows ? g.tile_w : g.tile_w / share, h = rows ? g.tile_h / share : 1;
    const int panel = std::min(64, model().columns / model().splits);
    const PixelBox half{panel, rows ? g.tile_w : g.tile_w / 2, rows ? g.tile_h / 2 : 1};

    const simt::TensorShape src = pixels(a.src, g.src, {g.depth, w, h, problem_.stride});
    const simt::TensorShape dst = pixels(a.dst, g.dst, half);
    simt::TensorShape joined = src, residual = dst;
    if (problem_.joined.c > 0) joined = pixels(a.joined, g.joined, {g.depth, w, h, problem_.joined_stride});
    if (problem_.residual) residual = pixels(a.residual, g.dst, half);

    simt::TensorShape weights;
    weights.type = element_type(problem_.dtype), weights.rank = 2, weights.base = weights_->weights.data();
    weights.extent[0] = std::uint64_t(g.steps) * std::uint64_t(g.depth), weights.extent[1] = std::uint64_t(problem_.dst.c);
    weights.stride[1] = weights.extent[0] * size_of(problem_.dtype);
    weights.box[0] = static_cast<std::uint32_t>(g.depth),
    weights.box[1] = static_cast<std::uint32_t>(model().columns / plan_.cluster_rows);
    weights.swizzle = simt::Swizzle::k128;

    const std::pair<simt::TensorMap&, const simt::TensorShape&> maps[] = {
        {p.src, src}, {p.joined, joined}, {p.weights, weights}, {p.residual, residual}, {p.dst, dst}};
    for (const auto& [map, shape] : maps)
      if (Status s = simt::make_tensor_map(map, shape); !s) return s;
    return {};
  }

  template <class T>
  Status launch(const Cuda& cuda, HopperConvParams p) const {
    const HopperKernel kernel = kKernels<T>[static_cast<std::size_t>(plan_.tile)];
    const auto size = static_cast<unsigned>(plan_.cluster_blocks());
    simt::LaunchShape shape;
    shape.name = "conv hopper";
    shape.cluster = {size, 1, 1};
    shape.grid = shape.cluster;
    shape.block = {384, 1, 1};
    shape.shared_bytes = kernel.shared_bytes;
    shape.registers_per_thread = 168;
    int clusters = cuda.multiprocessors;
    if (size > 1) {
      Status s = simt::clusters_at_once(shape, cuda.multiprocessors, kernel.run, clusters);
      if (!s) return s;
    }
    clusters = std::clamp(clusters, 1, p.row_groups * p.column_groups);
    p.weights_once = clusters == p.row_groups * p.column_groups;
    shape.grid.x = static_cast<unsigned>(clusters) * size;
    return simt::launch(stream_of(cuda), shape, kernel.run, p);
  }

  Conv problem_;
  HopperPlan plan_;
  HopperGeometry geometry_;
  std::string algorithm_;
  std::shared_ptr<const ConvWeights> weights_;
};

}  // namespace

std::shared_ptr<const PreparedConv<Cuda>> prepare_hopper(const Conv& conv, const HopperPlan& plan,
                                                         const ConvParameters& parameters, const std::string& name,
                                                         PackCache& cache) {
  return std::make_shared<HopperConvolution>(conv, plan, parameters, name, cache);
}

}  // namespace mfs::core
