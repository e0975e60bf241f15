#include "kernels/cpu/exp.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace mfs::core {
namespace {

TEST_CASE("fast_exp and fast_sigmoid keep their stated errors") {
  double worst_exp = 0, worst_sigmoid = 0;
  bool in_range = true;
  for (int i = -1100000; i <= 1100000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    const double sigmoid = fast_sigmoid(x);
    if (std::abs(x) <= 87) worst_exp = std::max(worst_exp, std::abs(fast_exp(x) / std::exp(double{x}) - 1));
    worst_sigmoid = std::max(worst_sigmoid, std::abs(sigmoid - 1 / (1 + std::exp(-double{x}))));
    in_range = in_range && sigmoid >= 0 && sigmoid <= 1;
  }
  CHECK(worst_exp < 4e-7);
  CHECK(worst_sigmoid < 3e-7);
  CHECK(in_range);
}

TEST_CASE("fast_exp and fast_sigmoid at the ends") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  CHECK(fast_exp(0) == 1);
  CHECK(fast_sigmoid(0) == 0.5f);
  CHECK(fast_sigmoid(kInf) == 1);
  CHECK(fast_sigmoid(-kInf) < 1e-37f);
  CHECK(fast_exp(-1e30f) < 1e-37f);
  CHECK(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(fast_sigmoid(-std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace mfs::core
