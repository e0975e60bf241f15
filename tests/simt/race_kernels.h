// Correct kernels, and the same kernels with one defect each. Compiled with -fsanitize=thread for the race tests.
#pragma once

#include "kernels/cuda/simt/platform.h"
#include "kernels/cuda/simt/tensor_map.h"
#include "kernels/cuda/simt/types.h"

namespace mfs::core::MFS_SIMT_BACKEND {

using simt::Half;
using simt::TensorMap;

enum class Defect {
  kNone,
  kNoBarrier,         // shared memory is read without waiting for its writers
  kWaitTooShort,      // a stage is used before its copies are awaited
  kStageReused,       // a stage is overwritten before all have read it
  kEarlyRelease,      // a stage is released before wgmma has read it
  kNoMbarrierFence,   // TMA uses a new mbarrier without fence
  kNoProxyFence,      // a TMA store reads ordinary writes without fence
  kOverlap,           // two TMA loads write the same bytes
  kRelaxedHandOver,   // another block's data behind a relaxed flag
  kNoClusterBarrier,  // a neighbour's shared memory is read without waiting
  kNoGridDependency,  // the previous kernel's data is read before griddepcontrol.wait
  kNoStoreWait,       // the block ends before its TMA store has read
  kNoWgmmaFence,
  kMisaligned,
};

MFS_KERNEL void reduction(const float* in, float* out, int n, Defect defect);

// c (16 n8 columns) = a (16 x k) b^T (8 x k), four stages of cp.async; one warp per 8 columns, two warps.
MFS_KERNEL void staged_gemm(const Half* a, const Half* b, float* c, int k, Defect defect);
inline constexpr size_t kStagedGemmShared = 4 * (16 + 16) * 16 * sizeof(Half);

// c (128 x 64) = a (128 x k) b^T (64 x k): a TMA producer, two wgmma consumer warpgroups, TMA store.
MFS_KERNEL void specialised_gemm(const MFS_GRID_CONSTANT TensorMap a, const MFS_GRID_CONSTANT TensorMap b,
                                 const MFS_GRID_CONSTANT TensorMap c, int k, Defect defect);
inline constexpr size_t kSpecialisedGemmShared = 3 * (128 + 64) * 128 + 128 * 64 * 4 + 1024;

MFS_KERNEL void hand_over(uint32_t* data, uint32_t* flag, uint32_t* out, Defect defect);
MFS_KERNEL void neighbours(uint32_t* out, Defect defect);
MFS_KERNEL void accumulate(const uint32_t* in, uint32_t* out, Defect defect);
MFS_KERNEL void bytes(const unsigned char* in, unsigned char* out, Defect defect);

}  // namespace mfs::core::MFS_SIMT_BACKEND
