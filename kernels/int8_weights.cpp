#include "kernels/int8_weights.h"

#include <algorithm>
#include <cmath>

namespace mfs::core {
namespace {

constexpr float kLeastPeak = 0x1p-60f;

}  // namespace

void round_weights(const float* values, int rows, std::int64_t count, int largest, std::int8_t* levels, float* scales) {
  for (int r = 0; r < rows; ++r, values += count, levels += count) {
    float peak = 0;
    for (std::int64_t i = 0; i < count; ++i) peak = std::max(peak, std::abs(values[i]));
    const float scale = peak >= kLeastPeak ? peak / static_cast<float>(largest) : 1;
    for (std::int64_t i = 0; i < count; ++i) levels[i] = static_cast<std::int8_t>(std::lrint(values[i] / scale));
    scales[r] = scale;
  }
}

}  // namespace mfs::core
