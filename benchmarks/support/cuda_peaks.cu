#include "benchmarks/support/cuda_peaks.h"

#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/mma.h"

namespace mfs::bench {
namespace MFS_SIMT_BACKEND {

using namespace core;  // NOLINT: written like our kernels
using namespace core::MFS_SIMT_BACKEND;

constexpr int kThreads = 256, kBlocksPerSm = 4;

constexpr int64_t kCopyBatch = 4;  // vectors under way in a thread

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads) copy_kernel(const simt::U32x4* from, simt::U32x4* to, int64_t vectors) {
  const int64_t first = int64_t{simt::block_index().x} * kThreads * kCopyBatch + simt::thread_index().x;
  simt::U32x4 v[kCopyBatch];
  MFS_UNROLL
  for (int64_t i = 0; i < kCopyBatch; ++i)
    if (first + i * kThreads < vectors) v[i] = simt::load<simt::Cache::kStreaming>(from + first + i * kThreads);
  MFS_UNROLL
  for (int64_t i = 0; i < kCopyBatch; ++i)
    if (first + i * kThreads < vectors) simt::store<simt::Cache::kStreaming>(to + first + i * kThreads, v[i]);
}

// Independent chains, enough to hide the latency of one; what they compute stays finite.
constexpr int kF32Chains = 8;

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads) f32_kernel(float* out, float factor, int steps) {
  float sum[kF32Chains];
  MFS_UNROLL
  for (int i = 0; i < kF32Chains; ++i) sum[i] = factor * static_cast<float>(i + simt::thread_index().x);
  for (int step = 0; step < steps; ++step) {
    MFS_UNROLL
    for (int i = 0; i < kF32Chains; ++i) sum[i] = fmaf(sum[i], factor, 0.5f);
  }
  float total = 0;
  MFS_UNROLL
  for (int i = 0; i < kF32Chains; ++i) total += sum[i];
  if (total == -1) simt::store(out + global_thread(), total);
}

constexpr int kMmaRows = 2, kMmaColumns = 4;  // accumulators of 16x8 in a warp

// Numbers between -1 and 1: what a tensor core draws, and so its clock, depends on them.
MFS_DEVICE uint32_t half_pair(uint32_t seed) {
  const uint32_t bits = seed * 2654435761u;
  return (bits & 0x83ff83ffu) | 0x38003800u;
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads) mma_kernel(float* out, uint32_t seed, int steps) {
  float sum[kMmaRows][kMmaColumns][4] = {};
  uint32_t a[kMmaRows][4], b[kMmaColumns][2];
  MFS_UNROLL
  for (int i = 0; i < kMmaRows; ++i) {
    MFS_UNROLL
    for (int r = 0; r < 4; ++r) a[i][r] = half_pair(seed + global_thread() * 16 + static_cast<uint32_t>(4 * i + r));
  }
  MFS_UNROLL
  for (int j = 0; j < kMmaColumns; ++j) {
    MFS_UNROLL
    for (int r = 0; r < 2; ++r) b[j][r] = half_pair(~seed - global_thread() * 16 - static_cast<uint32_t>(2 * j + r));
  }
  for (int step = 0; step < steps; ++step) {
    MFS_UNROLL
    for (int i = 0; i < kMmaRows; ++i) {
      MFS_UNROLL
      for (int j = 0; j < kMmaColumns; ++j) simt::mma<simt::Half>(sum[i][j], a[i], b[j]);
    }
  }
  float total = 0;
  MFS_UNROLL
  for (int i = 0; i < kMmaRows; ++i) {
    MFS_UNROLL
    for (int j = 0; j < kMmaColumns; ++j) total += sum[i][j][0] + sum[i][j][1] + sum[i][j][2] + sum[i][j][3];
  }
  if (total == -1) simt::store(out + global_thread(), total);
}

int64_t resident_threads(const Cuda& cuda) { return int64_t{cuda.multiprocessors} * kBlocksPerSm * kThreads; }

}  // namespace MFS_SIMT_BACKEND

using namespace MFS_SIMT_BACKEND;

Status queue_copy(const Cuda& cuda, const void* from, void* to, std::int64_t bytes) {
  const std::int64_t vectors = bytes / 16;
  return simt::launch(stream_of(cuda), threads_for("copy", (vectors + kCopyBatch - 1) / kCopyBatch, kThreads), copy_kernel,
                      static_cast<const simt::U32x4*>(from), static_cast<simt::U32x4*>(to), vectors);
}

Status queue_f32(const Cuda& cuda, float* out, int steps, double& flops) {
  flops = 2.0 * kF32Chains * steps * static_cast<double>(resident_threads(cuda));
  return simt::launch(stream_of(cuda), threads_for("f32 peak", resident_threads(cuda), kThreads), f32_kernel, out, 0.25f,
                      steps);
}

Status queue_mma(const Cuda& cuda, float* out, int steps, double& flops) {
  flops = 2.0 * 16 * 8 * 16 * kMmaRows * kMmaColumns * steps * static_cast<double>(resident_threads(cuda)) / 32;
  return simt::launch(stream_of(cuda), threads_for("mma peak", resident_threads(cuda), kThreads), mma_kernel, out, 1u, steps);
}

}  // namespace mfs::bench
