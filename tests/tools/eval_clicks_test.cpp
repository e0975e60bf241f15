#include "tools/eval_clicks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "tests/tools/eval_masks.h"
#include "tools/command_line.h"
#include "tools/eval_random.h"

namespace mfs::tools {
namespace {

using test::mask;
using test::random_mask;

std::array<int, 2> at(Point p) { return {static_cast<int>(p.x), static_cast<int>(p.y)}; }
std::array<int, 2> tap(const Mask& m, const std::string& protocol, const char* name = "a") {
  return at(first_tap(m, parse_protocol(protocol), name));
}

struct Centre {
  long double x = 0, y = 0;
};
Centre centre_of(const Mask& m) {
  Centre c;
  int count = 0;
  for (int y = 0; y < m.height; ++y) {
    for (int x = 0; x < m.width; ++x) {
      if (!test::is_object(m, x, y)) continue;
      c.x += x;
      c.y += y;
      ++count;
    }
  }
  return {c.x / count, c.y / count};
}

}  // namespace

TEST_CASE("centre: the rounded centre of mass on the object, else the nearest object pixel, first in row-major order") {
  CHECK(tap(mask({"....", ".##.", ".##."}), "centre") == std::array{2, 2});  // (1.5, 1.5): halves go up
  CHECK(tap(mask({"#...", "....", "...#"}), "centre") == std::array{0, 0});  // both are equally near
  CHECK(tap(mask({"#####", "#...#", "#...#", "#...#", "#####"}), "centre") == std::array{2, 0});
  CHECK(tap(mask({"o####", "oooo#", "oooo#"}), "centre") == std::array{3, 0});  // (2.8, 0.5) -> (3, 1), which is ignored
  CHECK(tap(mask({"#"}), "centre") == std::array{0, 0});
}

TEST_CASE("centre agrees with a search over all pixels") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const Mask m = random_mask(seed);
    const Centre c = centre_of(m);
    std::array<int, 2> expected{static_cast<int>(std::floor(c.x + 0.5L)), static_cast<int>(std::floor(c.y + 0.5L))};
    if (!test::is_object(m, expected[0], expected[1])) {
      long double least = std::numeric_limits<long double>::max();
      for (int y = 0; y < m.height; ++y) {
        for (int x = 0; x < m.width; ++x) {
          const long double d = (x - c.x) * (x - c.x) + (y - c.y) * (y - c.y);
          if (test::is_object(m, x, y) && d < least - 1e-12L) {
            least = d;
            expected = {x, y};
          }
        }
      }
    }
    CHECK(tap(m, "centre") == expected);
  }
}

TEST_CASE("distance: the pixel farthest from all that is not object, the photo's edge included") {
  CHECK(tap(mask({"#####", "#####", "#####"}), "distance") == std::array{1, 1});
  CHECK(tap(mask({"#...###", "....###", "....###"}), "distance") == std::array{5, 1});
  CHECK(tap(mask({"##o##", "##o##"}), "distance") == std::array{0, 0});  // ignored pixels are not object
}

TEST_CASE("jitter: up to 50 pixels per axis, on the object, from the name and the seed alone") {
  const Mask square = test::rectangle(300, 200, 40, 20, 240, 180);
  std::set<std::array<int, 2>> places;
  double sum = 0;
  int reach = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::array<int, 2> p = tap(square, "jitter:7", std::to_string(i).c_str());
    places.insert(p);
    sum += p[0];
    reach = std::max({reach, std::abs(p[0] - 139), std::abs(p[1] - 99)});
    REQUIRE(test::is_object(square, p[0], p[1]));
  }
  CHECK(reach <= 51);  // the centre is (139.5, 99.5)
  CHECK(reach >= 49);
  CHECK(places.size() > 1700);                     // of 10,000 places
  CHECK(std::abs(sum / 2000 - 139.5) < 5 * 0.65);  // 100 / sqrt(12 * 2000)
  CHECK(tap(square, "jitter:7", "b") == tap(square, "jitter:7", "b"));
  CHECK(tap(square, "jitter:7", "b") != tap(square, "jitter:8", "b"));

  const Mask ring = mask({"##########", "#........#", "#........#", "##########"});
  for (int i = 0; i < 100; ++i) {
    const std::array<int, 2> p = tap(ring, "jitter:" + std::to_string(i));
    CHECK(test::is_object(ring, p[0], p[1]));
  }
}

TEST_CASE("the taps of a seed are the same for ever") {
  const Mask square = test::rectangle(300, 200, 40, 20, 240, 180);
  CHECK(tap(square, "jitter:1", "dog") == std::array{104, 76});
  CHECK(tap(square, "jitter:18446744073709551615", "cat") == std::array{109, 111});
  Random random(0);
  CHECK(random.next() == 0xE220A8397B1DCDAFu);  // published first outputs of SplitMix64 from state 0
  CHECK(random.next() == 0x6E789E6AA1B965F4u);
  CHECK(fnv1a(std::string_view("foobar")) == 0x85944171F73967E8u);  // published test vector
}

TEST_CASE("further taps go where most is missed") {
  const Mask truth = mask({"######", "######", "######", "o#####"});
  CHECK(!next_tap(truth, truth));
  CHECK(at(*next_tap(truth, mask({"......", "......", "......", "......"}))) == std::array{1, 1});
  CHECK(at(*next_tap(truth, mask({"###...", "###...", "###...", "###..."}))) == std::array{4, 1});
  // What is found outside the object, or ignored, is not missed.
  CHECK(!next_tap(mask({"#.o"}), mask({"##."})));
}

TEST_CASE("--click") {
  CHECK(parse_protocol("centre").kind == ClickProtocol::Kind::kCentre);
  CHECK(parse_protocol("jitter:12").seed == 12);
  for (const char* text : {"", "center", "jitter", "jitter:", "jitter:-1", "jitter:1.5", "jitter:1 ", "distance:1",
                           "jitter:18446744073709551616"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_protocol(text), UsageError);
  }
}

}  // namespace mfs::tools
