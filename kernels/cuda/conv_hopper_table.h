// Written by mfs_cuda_tune. Nothing has been measured yet.
#pragma once

#include "kernels/cuda/conv_hopper_tuned.h"

namespace mfs::core {

inline constexpr HopperTable kHopperTable{};

}  // namespace mfs::core
