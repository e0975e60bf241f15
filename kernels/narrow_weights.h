// Weights of int8 and fp8 convolutions: symmetric, one scale per output channel.
#pragma once

#include <cstdint>

#include "kernels/float8.h"

namespace mfs::core {

// Each of `rows` rows of `count` values: scales[r] = max |value| / largest, levels = value / scale, rounded to nearest, ties to
// even. Where all are below 2^-60 the scale is 1 and the levels are 0. Hence |level| <= largest.
void round_weights(const float* values, int rows, std::int64_t count, std::int8_t* levels, float* scales, int largest = 127);

// The same to e4m3: scales[r] = max |value| / 448.
void round_weights(const float* values, int rows, std::int64_t count, Float8E4m3* rounded, float* scales);

}  // namespace mfs::core
