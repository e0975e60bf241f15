#include "tools/eval_distance.h"

#include <algorithm>
#include <cstddef>

namespace mfs::tools {
namespace {

// Distance to the nearest non-object pixel of the same column, for all columns at once.
void distances_along_columns(const Mask& mask, std::vector<std::int32_t>& distance) {
  const std::size_t width = mask.width, pixels = distance.size();
  for (std::size_t i = 0; i < pixels; ++i) {
    if (mask.pixels[i] == kObject) distance[i] = 1 + (i >= width ? distance[i - width] : 0);
  }
  for (std::size_t i = pixels; i-- > 0;) {
    distance[i] = std::min(distance[i], 1 + (i + width < pixels ? distance[i + width] : 0));
  }
}

// Lower envelope of parabolas (Felzenszwalb and Huttenlocher, 2012) over one row, in integers: `height[q]` is the squared
// distance along column q, the result min over q of (p - q)^2 + height[q]. height[0] is 0: the pixel beside the photo.
class RowTransform {
 public:
  explicit RowTransform(std::size_t length) : length_(static_cast<std::int64_t>(length)), apex_(length), first_(length) {}

  void run(const std::int64_t* height, std::int64_t* result) {
    std::size_t top = 0;  // never popped: nothing lies below the parabola of height[0] at position 0
    for (std::int64_t q = 1; q < length_; ++q) {
      std::int64_t first = first_below(height, apex_[top], q);
      while (first <= first_[top]) first = first_below(height, apex_[--top], q);
      if (first >= length_) continue;
      apex_[++top] = q;
      first_[top] = first;
    }
    std::size_t k = 0;
    for (std::int64_t p = 0; p < length_; ++p) {
      while (k < top && first_[k + 1] <= p) ++k;
      result[p] = (p - apex_[k]) * (p - apex_[k]) + height[apex_[k]];
    }
  }

 private:
  // The first position from 0 on at which the parabola of `q` lies below that of `v`, v < q.
  static std::int64_t first_below(const std::int64_t* height, std::int64_t v, std::int64_t q) {
    const std::int64_t rise = height[q] + q * q - height[v] - v * v;
    return rise < 0 ? 0 : rise / (2 * (q - v)) + 1;
  }

  std::int64_t length_;
  std::vector<std::int64_t> apex_, first_;  // parabola k is the lowest from first_[k] up to first_[k + 1] - 1
};

}  // namespace

std::vector<std::int32_t> squared_distances(const Mask& mask) {
  const std::size_t width = mask.width, height = mask.height;
  std::vector<std::int32_t> distance(width * height);
  distances_along_columns(mask, distance);
  RowTransform transform(width + 2);  // with the surrounding pixel at either end
  std::vector<std::int64_t> row(width + 2), result(width + 2);
  for (std::size_t y = 0; y < height; ++y) {
    std::int32_t* const line = distance.data() + y * width;
    for (std::size_t x = 0; x < width; ++x) row[x + 1] = std::int64_t{line[x]} * line[x];
    transform.run(row.data(), result.data());
    for (std::size_t x = 0; x < width; ++x) line[x] = static_cast<std::int32_t>(result[x + 1]);
  }
  return distance;
}

}  // namespace mfs::tools
