#include "kernels/cuda/conv_hopper_convolution.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/bfloat16.h"
#include "kernels/check.h"
#include "kernels/cuda/conv_hopper_pack.h"
#include "kernels/error.h"
#include "kernels/float16.h"
#include "kernels/float8.h"

namespace mfs::core {
namespace {

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

// Of one cluster.
simt::LaunchShape shape_of(const HopperKernel& kernel, const HopperPlan& plan) {
  simt::LaunchShape shape;
  shape.name = kernel.cooperative ? "conv hopper, gate" : "conv hopper";
  shape.cluster = {static_cast<unsigned>(plan.cluster_blocks()), 1, 1};
  shape.grid = shape.cluster;
  shape.block = {384, 1, 1};
  shape.shared_bytes = kernel.shared_bytes;
  shape.registers_per_thread = 168;
  return shape;
}

}  // namespace

inline namespace MFS_SIMT_BACKEND {

Status hopper_clusters_at_once(const Cuda& cuda, const HopperKernel& kernel, const HopperPlan& plan, int& clusters) {
  clusters = cuda.multiprocessors;
  if (plan.cluster_blocks() == 1) return {};
  return simt::clusters_at_once(shape_of(kernel, plan), cuda.multiprocessors, kernel.run, clusters);
}

HopperConvolution::HopperConvolution(const Conv& problem, const HopperGeometry& geometry, const HopperPlan& plan,
                                     const HopperKernel& kernel, const ConvParameters& parameters, const std::string& name,
                                     PackCache& cache)
    : problem_(problem), plan_(plan), kernel_(kernel), geometry_(geometry), algorithm_(plan.text()) {
  const DType type = problem.dtype;
  if (is_narrow(type)) algorithm_ += type == DType::kU8 ? ", int8" : ", fp8";
  weights_ = std::static_pointer_cast<const ConvWeights>(cache.get(name + "#hopper " + name_of(type), [&] {
    if (type == DType::kU8) return packed_narrow<std::int8_t>(problem, geometry_, parameters);
    if (type == DType::kE4m3) return packed_narrow<Float8E4m3>(problem, geometry_, parameters);
    return type == DType::kF16 ? packed<Float16>(problem, geometry_, parameters)
                               : packed<BFloat16>(problem, geometry_, parameters);
  }));
}

Status HopperConvolution::run(const Cuda& cuda, const ConvArguments& a, HopperConvParams p) const {
  if (Status s = make_maps(p, a); !s) return s;
  if (problem_.copy_scale > 0 && (!a.copy || !a.copy.dense() || reinterpret_cast<std::uintptr_t>(a.copy.data) % 16 != 0))
    return refuse("conv", "the copy has no data, or gaps, or an address that is no multiple of 16");
  if (Status s = check_sums(a.sums); !s) return s;
  const Conv& c = problem_;
  const HopperGeometry& g = geometry_;
  const HopperGroups groups = hopper_groups(g, plan_);
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
  p.row_groups = static_cast<int>(groups.rows), p.column_groups = static_cast<int>(groups.columns);
  p.has_residual = c.residual, p.relu = c.relu;
  return launch(cuda, p);
}

Status HopperConvolution::check_sums(const View& sums) const {
  if (!problem_.sums) return {};
  if (Status s = check_dense_f32("conv", "sums", sums); !s) return s;
  return check_shape("conv", "sums", sums, {problem_.dst.n, 1, geometry_.tiles_x * geometry_.tiles_y, problem_.dst.c});
}

Status HopperConvolution::make_maps(HopperConvParams& p, const ConvArguments& a) const {
  const HopperGeometry& g = geometry_;
  // A block's share of the pixels that its cluster's row has in common; a warpgroup's half of the tile.
  const bool rows = g.tile_h > 1;
  const int share = plan_.cluster_columns, w = rows ? g.tile_w : g.tile_w / share, h = rows ? g.tile_h / share : 1;
  const int panel = std::min(64, hopper_own_columns(model()));
  const PixelBox half{panel, rows ? g.tile_w : g.tile_w / 2, rows ? g.tile_h / 2 : 1};

  const simt::TensorShape src = pixels(a.src, g.src, {g.depth, w, h, problem_.stride});
  const simt::TensorShape dst = a.dst ? pixels(a.dst, g.dst, half) : src;
  simt::TensorShape joined = src, residual = dst;
  if (problem_.joined.c > 0) joined = pixels(a.joined, g.joined, {g.depth, w, h, problem_.joined_stride});
  if (a.residual || problem_.residual) residual = pixels(a.residual, g.dst, half);

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

Status HopperConvolution::launch(const Cuda& cuda, HopperConvParams p) const {
  simt::LaunchShape shape = shape_of(kernel_, plan_);
  int clusters = 0;
  if (Status s = hopper_clusters_at_once(cuda, kernel_, plan_, clusters); !s) return s;
  const int wanted = p.row_groups * p.column_groups;
  shape.cooperative = kernel_.cooperative;
  if (shape.cooperative && clusters < wanted) return refuse("conv", "the GPU has no room for all blocks at once");
  clusters = std::clamp(clusters, 1, wanted);
  p.weights_once = clusters == wanted;
  shape.grid.x *= static_cast<unsigned>(clusters);
  return simt::launch(stream_of(cuda), shape, kernel_.run, p);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
