// The source of kernels/cuda/conv_hopper_table.h.
#pragma once

#include <string>

#include "kernels/cuda/conv_hopper_tuned.h"

namespace mfs::bench {

// "3x3 d2 256->256 @64x64 f16x4, residual, sums"
std::string text(const core::Conv& problem);

std::string table_source(const core::HopperTable& table);

}  // namespace mfs::bench
