// Weights of int8 convolutions: symmetric, one scale per output channel.
#pragma once

#include <cstdint>

namespace mfs::core {

// Each of `rows` rows of `count` values: scales[r] = max |value| / largest (1 where all are 0), levels = value / scale, rounded
// to nearest, ties to even. Hence |level| <= largest, at most 127.
void round_weights(const float* values, int rows, std::int64_t count, int largest, std::int8_t* levels, float* scales);

}  // namespace mfs::core
