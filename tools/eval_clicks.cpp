#include "tools/eval_clicks.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>

#include "tools/command_line.h"
#include "tools/eval_distance.h"
#include "tools/eval_random.h"

namespace mfs::tools {
namespace {

struct Sums {
  std::int64_t count = 0, x = 0, y = 0;
};

template <class Visit>
void for_each_object_pixel(const Mask& mask, Visit visit) {
  std::size_t i = 0;
  for (std::int64_t y = 0; y < mask.height; ++y) {
    for (std::int64_t x = 0; x < mask.width; ++x) {
      if (mask.pixels[i++] == kObject) visit(x, y);
    }
  }
}

Sums sums_of(const Mask& mask) {
  Sums sums;
  for_each_object_pixel(mask, [&](std::int64_t x, std::int64_t y) {
    ++sums.count;
    sums.x += x;
    sums.y += y;
  });
  return sums;
}

bool is_object(const Mask& mask, std::int64_t x, std::int64_t y) {
  return x >= 0 && y >= 0 && x < mask.width && y < mask.height &&
         mask.pixels[static_cast<std::size_t>(y) * mask.width + x] == kObject;
}

Point point(std::int64_t x, std::int64_t y) { return {static_cast<float>(x), static_cast<float>(y)}; }

// Of (x / scale, y / scale): the rounded place (halves go up) if on the object, else the nearest object pixel. The squared
// distance is compared without its constant part and divided by `scale`, which keeps 256 megapixels within 64 bits.
Point place_or_nearest(const Mask& mask, std::int64_t x, std::int64_t y, std::int64_t scale) {
  const auto rounded = [scale](std::int64_t v) {
    const std::int64_t twice = 2 * v + scale;
    return twice >= 0 ? twice / (2 * scale) : -1;  // -1: anywhere outside
  };
  if (is_object(mask, rounded(x), rounded(y))) return point(rounded(x), rounded(y));
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  Point nearest{};
  for_each_object_pixel(mask, [&](std::int64_t px, std::int64_t py) {
    const std::int64_t distance = scale * (px * px + py * py) - 2 * (px * x + py * y);
    if (distance < least) {
      least = distance;
      nearest = point(px, py);
    }
  });
  return nearest;
}

Point jittered_tap(const Mask& mask, std::uint64_t seed, std::string_view name) {
  constexpr std::int64_t kUnit = 4096, kReach = 50 * kUnit;  // the paper's 50 pixels
  Random random(seed ^ fnv1a(name));
  const auto offset = [&] { return static_cast<std::int64_t>(random.below(2 * kReach + 1)) - kReach; };
  const Sums sums = sums_of(mask);
  const std::int64_t x = sums.x * kUnit / sums.count + offset(), y = sums.y * kUnit / sums.count + offset();
  return place_or_nearest(mask, x, y, kUnit);
}

Point distance_tap(const Mask& mask) {
  const std::vector<std::int32_t> distance = squared_distances(mask);
  const std::ptrdiff_t at = std::max_element(distance.begin(), distance.end()) - distance.begin();  // the first of equals
  return point(at % mask.width, at / mask.width);
}

}  // namespace

ClickProtocol parse_protocol(const std::string& text) {
  constexpr std::string_view kJitterPrefix = "jitter:";
  if (text == "centre") return {ClickProtocol::Kind::kCentre, 0, text};
  if (text == "distance") return {ClickProtocol::Kind::kDistance, 0, text};
  ClickProtocol jitter{ClickProtocol::Kind::kJitter, 0, text};
  if (text.starts_with(kJitterPrefix)) {
    const char* const end = text.data() + text.size();
    const auto seed = std::from_chars(text.data() + kJitterPrefix.size(), end, jitter.seed);
    if (seed.ec == std::errc() && seed.ptr == end) return jitter;
  }
  throw UsageError("--click: '" + text + "' is not centre, distance or jitter:SEED (SEED: a whole number)");
}

Point first_tap(const Mask& truth, const ClickProtocol& protocol, std::string_view name) {
  switch (protocol.kind) {
    case ClickProtocol::Kind::kDistance:
      return distance_tap(truth);
    case ClickProtocol::Kind::kJitter:
      return jittered_tap(truth, protocol.seed, name);
    case ClickProtocol::Kind::kCentre:
      break;
  }
  const Sums sums = sums_of(truth);
  return place_or_nearest(truth, sums.x, sums.y, sums.count);
}

std::optional<Point> next_tap(const Mask& truth, const Mask& prediction) {
  Mask missed{truth.width, truth.height, std::vector<std::uint8_t>(truth.pixels.size())};
  bool any = false;
  for (std::size_t i = 0; i < missed.pixels.size(); ++i) {
    if (truth.pixels[i] != kObject || prediction.pixels[i] == kObject) continue;
    missed.pixels[i] = kObject;
    any = true;
  }
  if (!any) return std::nullopt;
  return distance_tap(missed);
}

}  // namespace mfs::tools
