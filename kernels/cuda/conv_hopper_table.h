// Written by mfs_cuda_tune. Measured on: NVIDIA H100 80GB HBM3, 2026-11-26.
#pragma once

#include "kernels/cuda/conv_hopper_tuned.h"

namespace mfs::core {

// clang-format off
inline constexpr HopperTuned kHopperEntries[] = {
    {{.src = {1, 64, 64, 256}, .dst = {1, 64, 64, 256}, .kernel = 3, .dilation = 2, .pad = 2, .dtype = DType::kF16, .relu = true}, {64, 1, 8, 2}, 1, 2},
    {{.src = {1, 64, 64, 256}, .dst = {1, 64, 64, 1024}, .dtype = DType::kF16, .residual = true, .relu = true}, {128, 1, 6, 2}, 2, 1},
    {{.src = {1, 64, 64, 1024}, .dst = {1, 64, 64, 256}, .dtype = DType::kF16, .relu = true}, {64, 1, 8, 2}, 1, 2},
    {{.src = {1, 64, 64, 512}, .dst = {1, 64, 64, 512}, .kernel = 3, .dilation = 4, .pad = 4, .dtype = DType::kF16, .relu = true}, {128, 1, 6, 2}, 1, 2},
    {{.src = {1, 64, 64, 128}, .dst = {1, 64, 64, 512}, .dtype = DType::kF16, .residual = true, .relu = true}, {128, 1, 6, 2}, 1, 1},
    {{.src = {1, 64, 64, 1024}, .dst = {1, 64, 64, 512}, .dtype = DType::kF16, .relu = true}, {128, 1, 6, 2}, 1, 2},
    {{.src = {1, 128, 128, 256}, .dst = {1, 128, 128, 64}, .dtype = DType::kF16, .relu = true}, {64, 1, 8, 2}, 1, 1},
    {{.src = {1, 128, 128, 64}, .dst = {1, 128, 128, 256}, .dtype = DType::kF16, .relu = true, .joined = {1, 128, 128, 64}}, {128, 1, 6, 2}, 1, 1},
};
// clang-format on
inline constexpr HopperTable kHopperTable{"NVIDIA H100 80GB HBM3", "2026-11-26", 132, kHopperEntries};

}  // namespace mfs::core
