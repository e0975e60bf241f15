#include "kernels/narrow_weights.h"

#include <algorithm>
#include <cmath>

namespace mfs::core {
namespace {

constexpr float kLeastPeak = 0x1p-60f;

template <typename Rounded, typename Round>
void round_rows(const float* values, int rows, std::int64_t count, float largest, Rounded* to, float* scales, Round round) {
  for (int r = 0; r < rows; ++r, values += count, to += count) {
    float peak = 0;
    for (std::int64_t i = 0; i < count; ++i) peak = std::max(peak, std::abs(values[i]));
    const float scale = peak >= kLeastPeak ? peak / largest : 1;
    for (std::int64_t i = 0; i < count; ++i) to[i] = round(values[i] / scale);
    scales[r] = scale;
  }
}

}  // namespace

void round_weights(const float* values, int rows, std::int64_t count, std::int8_t* levels, float* scales, int largest) {
  round_rows(values, rows, count, static_cast<float>(largest), levels, scales,
             [](float v) { return static_cast<std::int8_t>(std::lrint(v)); });
}

void round_weights(const float* values, int rows, std::int64_t count, Float8E4m3* rounded, float* scales) {
  round_rows(values, rows, count, Float8E4m3::kLargest, rounded, scales, [](float v) { return Float8E4m3(v); });
}

}  // namespace mfs::core
