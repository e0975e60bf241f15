// Exact Euclidean distance transform.
#pragma once

#include <cstdint>
#include <vector>

#include "mfs/mfs.hpp"

namespace mfs::tools {

inline constexpr std::uint8_t kObject = 255, kBackground = 0, kIgnored = 128;  // values of a ground-truth pixel

// Squared distance of every pixel of value kObject to the nearest pixel that is not, 0 elsewhere; the image is taken as
// surrounded by pixels that are not object. Row-major, sides up to 30000.
std::vector<std::int32_t> squared_distances(const Mask& mask);

}  // namespace mfs::tools
