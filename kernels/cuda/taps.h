// Taps as a kernel parameter: they come from host memory and travel with the launch.
#pragma once

#include <span>

#include "kernels/check.h"

namespace mfs::core {

inline constexpr int kMostTaps = 256;  // 2 KB of the 4 KB of parameters that every GPU accepts

struct Taps {
  int count = 0;
  Point at[kMostTaps];
};

inline Status pack(const char* operation, std::span<const Point> taps, Taps& packed) {
  if (taps.size() > kMostTaps) {
    return refuse(operation,
                  std::to_string(taps.size()) + " taps are more than the " + std::to_string(kMostTaps) + " that the GPU takes");
  }
  packed.count = static_cast<int>(taps.size());
  for (std::size_t i = 0; i < taps.size(); ++i) packed.at[i] = taps[i];
  return {};
}

}  // namespace mfs::core
