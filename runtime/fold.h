// Parameters as the kernels want them: float32, batch norm folded into the convolution before it (network.md section 3).
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "runtime/lowered.h"
#include "weights/weights_file.h"

namespace mfs::core {

// weights: (f.out, f.in, k, k) dense; bias: f.out. Scales and shifts are computed in double precision.
void fold(const WeightsFile& file, const Filters& f, const Cpu& cpu, float* weights, float* bias);

// The tensor's values, or nothing when the file has no such tensor.
std::vector<float> read_all(const WeightsFile& file, const std::string& name);

// A transposed convolution's weights (cin, cout, k, k) as its kernels want them: (k, k, cin, cout).
std::vector<float> read_by_tap(const WeightsFile& file, const std::string& name);

}  // namespace mfs::core
