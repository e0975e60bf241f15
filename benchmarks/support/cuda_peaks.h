// Small kernels that reach what a GPU can do at best. Each call queues one launch.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/status.h"

namespace mfs::bench {

// Copies a multiple of 16 bytes.
core::Status queue_copy(const core::Cuda&, const void* from, void* to, std::int64_t bytes);

// Multiply-adds in the registers of all threads of a full device, `steps` times around; `flops`: what the launch computes.
// `out` has 4 bytes for each thread; nothing is written there, but the compiler cannot know.
core::Status queue_f32(const core::Cuda&, float* out, int steps, double& flops);
// f16 with f32 sums by mma.sync.
core::Status queue_mma(const core::Cuda&, float* out, int steps, double& flops);
// The same by wgmma from shared memory, on capability 9.0. Fails with kUnsupported where this build has no such code.
core::Status queue_wgmma(const core::Cuda&, float* out, int steps, double& flops);

}  // namespace mfs::bench
