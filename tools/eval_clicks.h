// Simulated taps: where a user would tap an object whose true mask is known (paper, Sec. 3.4 and 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mfs/mfs.hpp"

namespace mfs::tools {

// centre    the rounded centre of mass if it lies on the object, else the object's pixel nearest to the unrounded centre.
// distance  the object's pixel farthest from everything that is not object, the outside of the photo included.
// jitter    the unrounded centre of mass moved by U(-50, 50) photo pixels per axis; its rounded place if that lies on the
//           object, else the object's pixel nearest to it. Each photo has its own generator, SplitMix64 seeded with
//           SEED xor FNV-1a(name): neither the order nor the number of photos changes a tap. Steps of 1/4096 pixel.
// Of several pixels that qualify, the first in row-major order. All arithmetic is in integers, hence exact.
struct ClickProtocol {
  enum class Kind { kCentre, kDistance, kJitter };
  Kind kind = Kind::kCentre;
  std::uint64_t seed = 0;
  std::string text = "centre";  // as typed
};

// "centre", "distance" or "jitter:SEED". Throws UsageError (options.h).
ClickProtocol parse_protocol(const std::string& text);

// The first tap. `truth` has at least one pixel of value 255; other values are not object. `name` matters to jitter only.
Point first_tap(const Mask& truth, const ClickProtocol& protocol, std::string_view name);

// The next one: the `distance` point of what `prediction` misses of the object. Nothing when it misses nothing.
std::optional<Point> next_tap(const Mask& truth, const Mask& prediction);

}  // namespace mfs::tools
