#include "kernels/bfloat16.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace mfs::core {
namespace {

float round_trip(float v) { return static_cast<float>(BFloat16(v)); }

TEST_CASE("bfloat16 rounds to nearest, ties to even") {
  CHECK(round_trip(1.0f) == 1.0f);
  CHECK(round_trip(1 + 0x1p-8f) == 1.0f);             // halfway between 1 and 1 + 2^-7: the even one
  CHECK(round_trip(1 + 3 * 0x1p-8f) == 1 + 0x1p-6f);  // halfway again, the even one is above
  CHECK(round_trip(1 + 0x1.001p-8f) == 1 + 0x1p-7f);  // just above halfway
  CHECK(round_trip(-1 - 0x1.001p-8f) == -1 - 0x1p-7f);
  CHECK(round_trip(0x1.ffp0f) == 2.0f);  // carries into the exponent
  CHECK(std::signbit(round_trip(-0.0f)));
}

TEST_CASE("bfloat16 keeps infinities and NaN") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  CHECK(round_trip(kInf) == kInf);
  CHECK(round_trip(-kInf) == -kInf);
  CHECK(round_trip(std::numeric_limits<float>::max()) == kInf);
  CHECK(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(round_trip(std::bit_cast<float>(0x7f800001u))));  // payload only in the bits that are cut off
  CHECK(std::isnan(round_trip(std::bit_cast<float>(0xffffffffu))));
}

}  // namespace
}  // namespace mfs::core
