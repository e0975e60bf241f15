// wgmma as fast as it goes: two warpgroups of each SM multiply what lies in shared memory, 64x256 at a time.
#include "benchmarks/support/cuda_peaks.h"
#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/wgmma.h"

namespace mfs::bench {
namespace MFS_SIMT_BACKEND {

using namespace core;  // NOLINT: written like our kernels
using namespace core::MFS_SIMT_BACKEND;

constexpr int kGroups = 2, kRows = 64, kColumns = 256, kDepth = 64, kRepeats = 4;
constexpr int kThreads = 128 * kGroups, kSharedBytes = (kGroups * kRows + kColumns) * kDepth * 2;

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads, 1) wgmma_kernel(float* out, uint32_t seed, int steps) {
  auto* words = reinterpret_cast<uint32_t*>(simt::shared_memory());
  for (uint32_t i = simt::thread_index().x; i < kSharedBytes / 4; i += kThreads) {
    const uint32_t bits = (seed + simt::block_index().x * 8191 + i) * 2654435761u;  // numbers between -1 and 1
    simt::store(words + i, (bits & 0x83ff83ffu) | 0x38003800u);
  }
  simt::fence_proxy_async();
  simt::sync_block();
  constexpr uint32_t kRowBytes = kDepth * 2, kAtom = 8 * kRowBytes;
  const unsigned char* const a_rows = simt::shared_memory() + simt::thread_index().x / 128 * kRows * kRowBytes;
  const uint64_t a = simt::matrix_descriptor(a_rows, simt::Swizzle::k128, kAtom);
  const uint64_t b = simt::matrix_descriptor(simt::shared_memory() + kGroups * kRows * kRowBytes, simt::Swizzle::k128, kAtom);
  float sum[kColumns / 2];
  MFS_UNROLL
  for (int i = 0; i < kColumns / 2; ++i) sum[i] = 0;
  for (int step = 0; step < steps; ++step) {  // while one warpgroup waits, the other multiplies
    simt::wgmma_fence();
    MFS_UNROLL
    for (int k = 0; k < kRepeats * kDepth / 16; ++k) {
      const auto at = static_cast<unsigned>(2 * (k % (kDepth / 16)));
      simt::wgmma<simt::Half, kColumns>(sum, a + at, b + at, true);
    }
    simt::wgmma_commit();
    simt::wgmma_wait<0>();
  }
  float total = 0;
  MFS_UNROLL
  for (int i = 0; i < kColumns / 2; ++i) total += sum[i];
  if (total == -1) simt::store(out + global_thread(), total);
}

}  // namespace MFS_SIMT_BACKEND

using namespace MFS_SIMT_BACKEND;

Status queue_wgmma(const Cuda& cuda, float* out, int steps, double& flops) {
  flops = 2.0 * kGroups * kRows * kColumns * kDepth * kRepeats * steps * cuda.multiprocessors;
  simt::LaunchShape shape = threads_for("wgmma peak", std::int64_t{kThreads} * cuda.multiprocessors, kThreads);
  shape.shared_bytes = kSharedBytes;
  return simt::launch(stream_of(cuda), shape, wgmma_kernel, out, 1u, steps);
}

}  // namespace mfs::bench
