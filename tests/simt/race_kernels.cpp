#include "tests/simt/race_kernels.h"

#include "kernels/cuda/simt/async_copy.h"
#include "kernels/cuda/simt/atomics.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/cluster.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/mbarrier.h"
#include "kernels/cuda/simt/memory.h"
#include "kernels/cuda/simt/mma.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/registers.h"
#include "kernels/cuda/simt/tma.h"
#include "kernels/cuda/simt/tma_store.h"
#include "kernels/cuda/simt/wgmma.h"

namespace mfs::core::MFS_SIMT_BACKEND {

using namespace mfs::core::simt;

MFS_KERNEL void reduction(const float* in, float* out, int n, Defect defect) {
  float* partial = reinterpret_cast<float*>(shared_memory());
  const int t = static_cast<int>(thread_index().x), threads = static_cast<int>(block_size().x);
  float sum = 0;
  for (int i = t; i < n; i += threads) sum += in[i];
  partial[t] = sum;
  for (int half = threads / 2; half > 0; half /= 2) {
    if (defect != Defect::kNoBarrier || half != 8) sync_block();
    if (t < half) partial[t] += partial[t + half];
  }
  if (t == 0) out[0] = partial[0];
}

MFS_KERNEL void staged_gemm(const Half* a, const Half* b, float* c, int k, Defect defect) {
  constexpr int kStages = 4, kStage = 32 * 16;  // 16 rows of a, 16 of b
  Half* tiles = reinterpret_cast<Half*>(shared_memory());
  const int t = static_cast<int>(thread_index().x), warp = t / 32, lane = t % 32, steps = k / 16;
  const auto fetch = [&](int step) {
    if (step < steps) {
      const int row = t / 2, part = t % 2 * 8;  // each thread 16 bytes
      const Half* from = (row < 16 ? a + row * k : b + (row - 16) * k) + step * 16 + part;
      copy_async<16>(tiles + step % kStages * kStage + row * 16 + part, from);
    }
    copy_async_commit();
  };
  for (int step = 0; step < kStages - 1; ++step) fetch(step);
  float d[4] = {};
  for (int step = 0; step < steps; ++step) {
    if (defect == Defect::kWaitTooShort) {
      copy_async_wait<kStages - 1>();
    } else {
      copy_async_wait<kStages - 2>();
    }
    sync_block();
    if (defect == Defect::kStageReused) fetch(step + kStages);
    const Half* stage = tiles + step % kStages * kStage;
    uint32_t ra[4], rb[2];
    load_matrix<4>(ra, stage + lane % 16 * 16 + lane / 16 * 8);
    load_matrix<2>(rb, stage + (16 + warp * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
    mma<Half>(d, ra, rb);
    if (defect != Defect::kStageReused) fetch(step + kStages - 1);
  }
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 16 + warp * 8 + lane % 4 * 2 + i % 2] = d[i];
}

MFS_KERNEL void specialised_gemm(const MFS_GRID_CONSTANT TensorMap a, const MFS_GRID_CONSTANT TensorMap b,
                                 const MFS_GRID_CONSTANT TensorMap c, int k, Defect defect) {
  constexpr int kStages = 3, kTileA = 128 * 128, kTileB = 64 * 128;
  unsigned char* tiles = shared_memory();
  float* result = reinterpret_cast<float*>(tiles + kStages * (kTileA + kTileB));
  uint64_t* full = reinterpret_cast<uint64_t*>(result + 128 * 64);
  uint64_t* empty = full + kStages;
  const unsigned t = thread_index().x, group = t / 128;
  if (t == 0) {
    for (int s = 0; s < kStages; ++s) {
      mbarrier_init(full + s, 1);
      mbarrier_init(empty + s, 2);
    }
    if (defect != Defect::kNoMbarrierFence) fence_mbarrier_init();
  }
  sync_block();
  const int steps = k / 64;
  if (group == 2) {
    release_registers<40>();
    if (t == 256) {
      for (int step = 0; step < steps; ++step) {
        const int s = step % kStages;
        unsigned char* tile = tiles + s * (kTileA + kTileB);
        mbarrier_wait(empty + s, static_cast<uint32_t>(step / kStages % 2 ^ 1));
        mbarrier_arrive_expect(full + s, kTileA + kTileB);
        tma_load(tile, a, full + s, {step * 64, 0});
        tma_load(tile + (defect == Defect::kOverlap ? kTileA - 1024 : kTileA), b, full + s, {step * 64, 0});
      }
    }
    return;
  }
  claim_registers<232>();
  float d[32];
  for (float& x : d) x = 0;
  for (int step = 0; step < steps; ++step) {
    const int s = step % kStages;
    const unsigned char* tile = tiles + s * (kTileA + kTileB);
    mbarrier_wait(full + s, static_cast<uint32_t>(step / kStages % 2));
    const uint64_t da = matrix_descriptor(tile + group * 64 * 128, Swizzle::k128, 1024);
    const uint64_t db = matrix_descriptor(tile + kTileA, Swizzle::k128, 1024);
    if (defect != Defect::kNoWgmmaFence) wgmma_fence();
    for (unsigned i = 0; i < 4; ++i) wgmma<Half, 64>(d, da + i * 2, db + i * 2, true);
    wgmma_commit();
    if (defect == Defect::kEarlyRelease && t % 128 == 0) mbarrier_arrive(empty + s);
    wgmma_wait<0>();
    if (defect != Defect::kEarlyRelease && t % 128 == 0) mbarrier_arrive(empty + s);
  }
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + t % 4 * 2 + i % 2;
    result[row * 64 + column] = d[i];
  }
  if (defect != Defect::kNoProxyFence) fence_proxy_async();
  sync_named(1, 256);
  if (t == 0) {
    tma_store(c, result, {0, 0});
    tma_store_commit();
    if (defect != Defect::kNoStoreWait) tma_store_wait_read<0>();
  }
}

MFS_KERNEL void hand_over(uint32_t* data, uint32_t* flag, uint32_t* out, Defect defect) {
  const unsigned t = thread_index().x;
  if (block_index().x == 0) {
    data[t] = t * 3;
    sync_block();
    if (t == 0) {
      if (defect == Defect::kRelaxedHandOver) {
        atomic_add(flag, 0x80000000u);
      } else {
        fence_gpu();
        atomic_add(flag, 0x80000000u);
      }
    }
  } else {
    if (t == 0) wait_for_flip(flag, 0);
    sync_block();
    out[t] = data[t];
  }
}

MFS_KERNEL void neighbours(uint32_t* out, Defect defect) {
  uint32_t* own = reinterpret_cast<uint32_t*>(shared_memory());
  const unsigned t = thread_index().x;
  own[t] = cluster_rank() * 100 + t;
  if (defect == Defect::kNoClusterBarrier) {
    sync_block();
  } else {
    sync_cluster();
  }
  out[block_index().x * 32 + t] = *shared_of(own + t, cluster_rank() ^ 1);
  sync_cluster();
}

MFS_KERNEL void accumulate(const uint32_t* in, uint32_t* out, Defect defect) {
  uint32_t value = 0;
  if (defect == Defect::kNoGridDependency) value = in[thread_index().x];
  grid_dependency_wait();
  if (defect != Defect::kNoGridDependency) value = in[thread_index().x];
  out[thread_index().x] = value + 1;
}

// Neighbouring bytes belong to different threads: no race. Sizes that only run time knows go through copy_bytes.
MFS_KERNEL void bytes(const unsigned char* in, unsigned char* out, Defect defect) {
  unsigned char* tile = shared_memory();
  const unsigned t = thread_index().x;
  tile[t] = in[t];
  if (defect == Defect::kMisaligned) out[0] = static_cast<unsigned char>(*reinterpret_cast<const uint32_t*>(in + 1));
  if (defect != Defect::kNoBarrier) sync_block();
  if (t < 3) copy_bytes(out + t * 20, tile + t * 20, t < 2 ? 20 : block_size().x - 40);
}

}  // namespace mfs::core::MFS_SIMT_BACKEND
