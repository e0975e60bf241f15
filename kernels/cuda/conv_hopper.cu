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
#include "kernels/cuda/conv_hopper_pack.h"
#include "kernels/error.h"
#include "kernels/float16.h"
#include "kernels/float8.h"

namespace mfs::core {
namespace {

struct HopperKernel {
  void (*run)(HopperConvParams) = nullptr;
  std::size_t shared_bytes = 0;
};
template <class T, bool kHead, std::size_t kModel>
constexpr HopperKernel kernel_of() {
  if constexpr (hopper_has_tile(std::is_same_v<T, simt::E4m3>, kHopperTiles[kModel])) {
    return {conv_hopper_kernel<T, kModel, kHead>, HopperTile<kModel>::kSharedBytes};
  } else {
    return {};
  }
}
template <class T, bool kHead, std::size_t... kModels>
constexpr std::array<HopperKernel, sizeof...(kModels)> kernels_of(std::index_sequence<kModels...>) {
  return {kernel_of<T, kHead, kModels>()...};
}
// In the order of kHopperTiles.
template <class T, bool kHead>
const auto kKernels = kernels_of<T, kHead>(std::make_index_sequence<std::size(kHopperTiles)>());

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
  HopperConvolution(const Conv& problem, const HopperGeometry& geometry, const HopperPlan& plan,
                    const ConvParameters& parameters, const std::string& name, PackCache& cache)
      : problem_(problem), plan_(plan), geometry_(geometry), algorithm_(plan.text()) {
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

  Status run(const Cuda& cuda, const ConvArguments& a) const override { return run(cuda, a, {}); }

  // With a head there is no dst.
  Status run(const Cuda& cuda, const ConvArguments& a, const HopperHeadParams& head) const {
    HopperConvParams p{};
    p.head = head;
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
    const simt::TensorShape dst = a.dst ? pixels(a.dst, g.dst, half) : src;
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
    const auto tile = static_cast<std::size_t>(plan_.tile);
    const HopperKernel kernel = p.head.logit == nullptr ? kKernels<T, false>[tile] : kKernels<T, true>[tile];
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

class HopperConvHead final : public PreparedConvHead {
 public:
  HopperConvHead(const ConvHead& head, const HopperPlan& plan, const ConvParameters& parameters, const LogitParameters& logit,
                 const std::string& name, PackCache& cache)
      : head_(head),
        tiles_(hopper_head_tiles(head)),
        conv_(head.conv, tiles_.geometry, plan, parameters, name, cache),
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
    HopperHeadParams p{};
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
    return conv_.run(cuda, {a.src, {}, a.joined, {}}, p);
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

std::shared_ptr<const PreparedConv<Cuda>> prepare_hopper(const Conv& conv, const HopperPlan& plan,
                                                         const ConvParameters& parameters, const std::string& name,
                                                         PackCache& cache) {
  return std::make_shared<HopperConvolution>(conv, hopper_geometry(conv), plan, parameters, name, cache);
}

std::shared_ptr<const PreparedConvHead> prepare_hopper_head(const ConvHead& head, const HopperPlan& plan,
                                                            const ConvParameters& parameters, const LogitParameters& logit,
                                                            const std::string& name, PackCache& cache) {
  return std::make_shared<HopperConvHead>(head, plan, parameters, logit, name, cache);
}

}  // namespace mfs::core
