#include "kernels/global_average.h"

#include <algorithm>

#include "kernels/cuda/pixel_sums.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct AverageParams {
  int channels, pitch;
  int pixels, pixels_per_part;
  uint32_t chunks, parts;
  float factor;
};

// dst[image][part][channel] = factor x the sum over the pixels of that part of that image.
template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kSumThreads, kSumBlocks) sum_parts_kernel(const T* src, float* dst, AverageParams p) {
  simt::grid_dependency_wait();
  const uint32_t block = simt::block_index().x, sum = block / p.chunks, image = sum / p.parts;
  const int first = static_cast<int>(sum % p.parts) * p.pixels_per_part, left = p.pixels - first;
  const int pixels = left < p.pixels_per_part ? left : p.pixels_per_part;
  const int channel = static_cast<int>(block % p.chunks * simt::block_size().x + simt::thread_index().x) * kWidth;
  const T* from = src + (int64_t{image} * p.pixels + first) * p.pitch + channel;
  sum_rectangle<kWidth>(from, {pixels, pixels, p.pitch, 0}, channel < p.channels, p.factor,
                        dst + int64_t{sum} * p.channels + channel);
}

// Enough blocks for every multiprocessor, each with enough pixels to be worth its share of the second pass.
int parts_of(const Cuda& cuda, const Shape& s) {
  constexpr std::int64_t kBlocksPerMultiprocessor = 4, kLeastPixels = 64, kChunk = 128;
  const std::int64_t pixels = std::int64_t{s.h} * s.w, blocks = cuda.multiprocessors * kBlocksPerMultiprocessor;
  const std::int64_t wanted = blocks / (s.n * ((s.c + kChunk - 1) / kChunk)), most = (pixels + kLeastPixels - 1) / kLeastPixels;
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, most));
}

}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda& cuda, const GlobalAverage& op) {
  const Shape& s = op.src.shape;
  return static_cast<std::size_t>(parts_of(cuda, s)) * s.n * s.c * sizeof(float);
}

Status run(const Cuda& cuda, const GlobalAverage& op) {
  if (Status s = check(op); !s) return s;
  const Shape& s = op.src.shape;
  if (Status status = check_items("global_average", s.elements()); !status) return status;
  const int pixels = s.h * s.w, per_part = (pixels + parts_of(cuda, s) - 1) / parts_of(cuda, s);
  const auto parts = static_cast<uint32_t>((pixels + per_part - 1) / per_part);  // none of them empty
  const View sums(op.scratch, DType::kF32, {s.n, 1, static_cast<int>(parts), s.c});
  return with_device_type("global_average", op.src.dtype, vectorises({op.src, sums, op.dst}), [&]<class T, int kWidth>() {
    const int vectors = s.c / kWidth;
    unsigned columns = threads_of_block(vectors, kWidth == 1 ? 32 : 16);
    uint32_t chunks = channel_chunks(vectors, columns);
    const AverageParams first{s.c, op.src.pitch, pixels, per_part, chunks, parts, 1.0f};
    Status status =
        simt::launch(stream_of(cuda), sum_blocks("global_average", int64_t{s.n} * parts * chunks, columns, per_part, kWidth),
                     sum_parts_kernel<T, kWidth>, static_cast<const T*>(op.src.data), static_cast<float*>(op.scratch), first);
    if (!status) return status;
    columns = threads_of_block(vectors, kWidth == 1 ? 32 : 4);  // narrow: many lanes for few channels and many parts
    chunks = channel_chunks(vectors, columns);
    const auto count = static_cast<int>(parts);
    const auto factor = static_cast<float>(1.0 / (static_cast<double>(s.h) * s.w));
    const AverageParams second{s.c, s.c, count, count, chunks, 1, factor};
    return simt::launch(stream_of(cuda), sum_blocks("global_average, mean", int64_t{s.n} * chunks, columns, count, kWidth),
                        sum_parts_kernel<float, kWidth>, static_cast<const float*>(op.scratch),
                        static_cast<float*>(op.dst.data), second);
  });
}

}  // namespace mfs::core
