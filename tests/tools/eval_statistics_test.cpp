#include "tools/eval_statistics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/tools/eval_masks.h"

namespace mfs::tools {

using test::mask;

TEST_CASE("the distance transform is exact") {
  for (unsigned seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    const Mask m = test::random_mask(seed);
    const std::vector<std::int32_t> distances = squared_distances(m);
    std::vector<std::int32_t> expected;
    for (int y = 0; y < m.height; ++y) {
      for (int x = 0; x < m.width; ++x) {
        int least = std::numeric_limits<int>::max();
        for (int v = -1; v <= m.height; ++v) {
          for (int u = -1; u <= m.width; ++u) {
            if (!test::is_object(m, u, v)) least = std::min(least, (u - x) * (u - x) + (v - y) * (v - y));
          }
        }
        expected.push_back(least);
      }
    }
    CHECK(distances == expected);
  }
}

TEST_CASE("the distance transform of a long object") {
  const Mask line = test::rectangle(30'000, 3, 0, 0, 30'000, 3);
  const std::vector<std::int32_t> distances = squared_distances(line);
  CHECK(distances[0] == 1);
  CHECK(distances[30'000 + 15'000] == 4);
  const Mask block = test::rectangle(1200, 800, 0, 0, 1200, 800);
  CHECK(squared_distances(block)[399 * 1200 + 600] == 400 * 400);
}

TEST_CASE("intersection over union") {
  const Mask truth = mask({"##oo..", "##oo.."});
  CHECK(intersection_over_union(truth, truth) == 1);
  CHECK(intersection_over_union(truth, mask({"......", "......"})) == 0);
  CHECK(intersection_over_union(truth, mask({"#####.", "#####."})) == 4.0 / 6);  // the four ignored pixels count for neither
  CHECK(intersection_over_union(truth, mask({"#.....", "#....#"})) == 2.0 / 5);
  CHECK(intersection_over_union(mask({"o."}), mask({"#."})) == 1);  // an empty union
  CHECK(intersection_over_union(mask({".."}), mask({"#."})) == 0);
}

TEST_CASE("the bootstrap interval") {
  const std::vector<double> same(50, 0.25);
  CHECK(bootstrap_interval(same).low == doctest::Approx(0.25));
  CHECK(bootstrap_interval(same).high == doctest::Approx(0.25));
  CHECK(bootstrap_interval(std::vector<double>{0.5}).low == 0.5);

  // For many values it is close to the normal interval, mean +- 1.96 s / sqrt(n).
  Random random(3);
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(static_cast<double>(random.below(1000)) / 1000);
  const double centre = mean(values);
  double square = 0;
  for (const double v : values) square += (v - centre) * (v - centre);
  const double half = 1.96 * std::sqrt(square / 1000 / 1000);
  const Interval interval = bootstrap_interval(values);
  CHECK(std::abs(interval.low - (centre - half)) < 0.1 * half);
  CHECK(std::abs(interval.high - (centre + half)) < 0.1 * half);
  const Interval again = bootstrap_interval(values);
  CHECK((again.low == interval.low && again.high == interval.high));
}

}  // namespace mfs::tools
