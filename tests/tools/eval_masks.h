// Small masks for the tests of mfs_eval.
#pragma once

#include <string>
#include <vector>

#include "tools/eval_distance.h"
#include "tools/eval_random.h"

namespace mfs::tools::test {

// '#' object, 'o' ignored, anything else background.
inline Mask mask(const std::vector<std::string>& rows) {
  Mask m{static_cast<int>(rows[0].size()), static_cast<int>(rows.size()), {}};
  for (const std::string& row : rows) {
    for (const char c : row) m.pixels.push_back(c == '#' ? kObject : c == 'o' ? kIgnored : kBackground);
  }
  return m;
}

inline Mask rectangle(int width, int height, int left, int top, int right, int bottom) {
  Mask m{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height)};
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) m.pixels[static_cast<std::size_t>(y) * width + x] = kObject;
  }
  return m;
}

inline bool is_object(const Mask& m, int x, int y) {
  return x >= 0 && y >= 0 && x < m.width && y < m.height && m.pixels[static_cast<std::size_t>(y) * m.width + x] == kObject;
}

// 1 to 24 pixels a side, at least one object pixel, from nearly empty to nearly full.
inline Mask random_mask(unsigned seed) {
  Random random(seed);
  Mask m{static_cast<int>(1 + random.below(24)), static_cast<int>(1 + random.below(24)), {}};
  const std::uint64_t density = 1 + random.below(99);
  for (int i = 0; i < m.width * m.height; ++i) {
    m.pixels.push_back(random.below(100) < density ? kObject : random.below(8) == 0 ? kIgnored : kBackground);
  }
  m.pixels[random.below(m.pixels.size())] = kObject;
  return m;
}

}  // namespace mfs::tools::test
