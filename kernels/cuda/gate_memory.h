// Shared memory of squeeze-and-excitation inside a kernel (gates.h).
#pragma once

#include <cstddef>

namespace mfs::core {

inline constexpr std::size_t kGateThreads = 256;

// For sums of `width` channels at a time, the means of every block that shares the work, gates and hidden values.
constexpr std::size_t gate_bytes(int width, int sharers, int channels, int hidden) {
  const auto floats = (sharers + 1) * channels + hidden;
  return sizeof(float) * (kGateThreads * static_cast<std::size_t>(width) + static_cast<std::size_t>(floats));
}

}  // namespace mfs::core
