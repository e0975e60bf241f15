#include "kernels/squeeze_excite.h"

#include <algorithm>

#include "kernels/cuda/gates.h"
#include "kernels/cuda/hopper.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

// Two kernels: sums of parts of an image, unless a convolution has written them, then the gates, which every block works out
// for itself from all of these, and the scaling. With few parts that costs a block less than another kernel between the two
// would. A convolution's parts are many, 128 for an image of 128x128 pixels: blocks of a cluster share them, and each reads as
// many as of ours.
constexpr int kMostParts = 32;        // an estimate
constexpr unsigned kGateBlocks = 2;   // per multiprocessor
constexpr unsigned kGateCluster = 4;  // an estimate: whole on the two SMs of a TPC

struct SqueezeParams {
  int channels, pitch;
  int pixels, pixels_per_part;
  uint32_t chunks, parts;
};

// sums[image][part][channel] over the pixels of that part of that image.
template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kSumThreads, kSumBlocks) squeeze_kernel(const T* src, float* sums, SqueezeParams p) {
  simt::grid_dependency_wait();
  const uint32_t block = simt::block_index().x, sum = block / p.chunks, image = sum / p.parts;
  const int first = static_cast<int>(sum % p.parts) * p.pixels_per_part, left = p.pixels - first;
  const int pixels = left < p.pixels_per_part ? left : p.pixels_per_part;
  const int channel = static_cast<int>(block % p.chunks * simt::block_size().x + simt::thread_index().x) * kWidth;
  const T* from = src + (int64_t{image} * p.pixels + first) * p.pitch + channel;
  sum_rectangle<kWidth>(WholeBlock{}, from, {pixels, pixels, p.pitch, 0}, channel < p.channels, 1.0f,
                        sums + int64_t{sum} * p.channels + channel);
}

struct ExciteParams {
  GateParams gate;
  const float* sums;
  int pixels, pixels_per_block;  // of an image
  uint32_t blocks;               // of an image
  int src_pitch, residual_pitch, dst_pitch;
  bool relu;
};

template <class T, int kWidth>
struct Excite : Gates<WholeBlock, kWidth> {
  using Base = Gates<WholeBlock, kWidth>;
  using Base::gates, Base::sharers, Base::team;

  const ExciteParams& p;
  const int64_t image = simt::block_index().x / p.blocks;

  explicit MFS_DEVICE Excite(const ExciteParams& params)
      : Base{params.gate, {}, static_cast<int>(simt::cluster_blocks()), static_cast<int>(simt::cluster_rank())}, p(params) {}

  MFS_DEVICE void find_means() const {
    this->sum_own_parts(p.sums + image * p.gate.parts * p.gate.channels);
    if (sharers == 1) return;
    simt::cluster_wait();
    this->send_means();
    simt::sync_cluster();
    this->add_means();
  }

  // dst may be src or residual: nobody else reads what this thread writes.
  MFS_DEVICE void scale(const T* src, const T* residual, T* dst) const {
    constexpr int kBatch = 2;  // pixels whose loads are under way
    const int first = static_cast<int>(simt::block_index().x % p.blocks) * p.pixels_per_block, left = p.pixels - first;
    const int count = left < p.pixels_per_block ? left : p.pixels_per_block;
    const int64_t origin = image * p.pixels + first;
    const int step = static_cast<int>(team.lanes), lane = static_cast<int>(team.lane);
    for (int channel = static_cast<int>(team.column) * kWidth; channel < p.gate.channels;
         channel += static_cast<int>(team.columns) * kWidth) {
      float gate[kWidth];
      load_channels<kWidth>(gates + channel, gate);
      for (int pixel = lane; pixel < count; pixel += kBatch * step) {
        float v[kBatch][kWidth], add[kBatch][kWidth] = {};
        MFS_UNROLL
        for (int b = 0; b < kBatch; ++b) {
          const int64_t at = origin + (pixel + b * step < count ? pixel + b * step : pixel);
          load_channels<kWidth>(src + at * p.src_pitch + channel, v[b]);
          if (residual != nullptr) load_channels<kWidth>(residual + at * p.residual_pitch + channel, add[b]);
        }
        MFS_UNROLL
        for (int b = 0; b < kBatch; ++b) {
          MFS_UNROLL
          for (int i = 0; i < kWidth; ++i) {
            v[b][i] = v[b][i] * gate[i] + add[b][i];
            if (p.relu) v[b][i] = v[b][i] < 0 ? 0.0f : v[b][i];
          }
          if (pixel + b * step < count) store_channels<kWidth>(dst + (origin + pixel + b * step) * p.dst_pitch + channel, v[b]);
        }
      }
    }
  }
};

template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kSumThreads, kGateBlocks)
    excite_kernel(const T* src, const T* residual, T* dst, const MFS_GRID_CONSTANT ExciteParams p) {
  simt::grid_dependency_wait();
  const Excite<T, kWidth> block(p);
  if (block.sharers > 1) simt::cluster_arrive();  // this block has begun: others may write to it
  block.find_means();
  block.find_gates();
  block.scale(src, residual, dst);
}

// Of an image: enough blocks for every multiprocessor, each with enough pixels to be worth its part of the gates' work.
int parts_of(const Cuda& cuda, const Shape& s) {
  constexpr std::int64_t kBlocksPerMultiprocessor = 2, kLeastPixels = 64, kChunk = 64;
  const std::int64_t pixels = std::int64_t{s.h} * s.w, blocks = cuda.multiprocessors * kBlocksPerMultiprocessor;
  const std::int64_t wanted = blocks / (s.n * ((s.c + kChunk - 1) / kChunk));
  return static_cast<int>(
      std::clamp<std::int64_t>(wanted, 1, std::min<std::int64_t>(kMostParts, (pixels + kLeastPixels - 1) / kLeastPixels)));
}

}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda& cuda, const SqueezeExcite& op) {
  const Shape& s = op.src.shape;
  return op.sums ? 0 : static_cast<std::size_t>(parts_of(cuda, s)) * s.n * s.c * sizeof(float);
}

Status run(const Cuda& cuda, const SqueezeExcite& op) {
  constexpr const char* kOp = "squeeze_excite";
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch(kOp, op.scratch, scratch_bytes(cuda, op)); !s) return s;
  const Shape& s = op.src.shape;
  if (Status status = check_items(kOp, s.elements()); !status) return status;
  const int pixels = s.h * s.w, per_part = (pixels + parts_of(cuda, s) - 1) / parts_of(cuda, s);
  const Shape parts_shape{s.n, 1, (pixels + per_part - 1) / per_part, s.c};  // none of them empty
  const View sums = op.sums ? op.sums : View(op.scratch.data(), DType::kF32, parts_shape);
  const int parts = sums.shape.w;
  return with_device_type(kOp, op.src.dtype, vectorises({op.src, op.residual, sums, op.dst}), [&]<class T, int kWidth>() {
    const int vectors = s.c / kWidth;
    const auto* src = static_cast<const T*>(op.src.data);
    if (!op.sums) {
      const unsigned columns = threads_of_block(vectors, kWidth == 1 ? 32 : 8);
      const SqueezeParams squeeze{
          s.c, op.src.pitch, pixels, per_part, channel_chunks(vectors, columns), static_cast<uint32_t>(parts)};
      const std::int64_t blocks = std::int64_t{s.n} * parts * squeeze.chunks;
      const Status status = simt::launch(stream_of(cuda), sum_blocks(kOp, blocks, columns, per_part, kWidth),
                                         squeeze_kernel<T, kWidth>, src, reinterpret_cast<float*>(op.scratch.data()), squeeze);
      if (!status) return status;
    }

    const bool clusters = parts > kMostParts && has_hopper(cuda);
    const unsigned sharers = clusters ? kGateCluster : 1, columns = threads_of_block(vectors, 32);
    const auto lanes = static_cast<int>(kSumThreads / columns);
    const int wanted = std::max(1, static_cast<int>(kGateBlocks) * cuda.multiprocessors / s.n);
    const int per_block = std::max((pixels + wanted - 1) / wanted, lanes);
    const auto blocks = (static_cast<uint32_t>((pixels + per_block - 1) / per_block) + sharers - 1) / sharers * sharers;
    const ExciteParams excite{
        {op.squeeze, op.squeeze_bias, op.excite, op.excite_bias, s.c, op.hidden, parts, static_cast<float>(1.0 / pixels)},
        static_cast<const float*>(sums.data),
        pixels,
        per_block,
        blocks,
        op.src.pitch,
        op.residual.pitch,
        op.dst.pitch,
        op.relu};
    simt::LaunchShape shape;
    shape.name = "squeeze_excite, scale";
    shape.grid = {static_cast<unsigned>(s.n) * blocks, 1, 1};
    shape.block = {columns, static_cast<unsigned>(lanes), 1};
    shape.cluster = {sharers, 1, 1};
    shape.shared_bytes = gate_bytes(kWidth, static_cast<int>(sharers), s.c, op.hidden);
    return simt::launch(stream_of(cuda), shape, excite_kernel<T, kWidth>, src, static_cast<const T*>(op.residual.data),
                        static_cast<T*>(op.dst.data), excite);
  });
}

}  // namespace mfs::core
