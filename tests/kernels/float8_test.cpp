#include "kernels/float8.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>

namespace mfs::core {
namespace {

float value(unsigned bits) { return static_cast<float>(std::bit_cast<Float8E4m3>(static_cast<std::uint8_t>(bits))); }
unsigned bits(float v) { return Float8E4m3(v).bits; }

TEST_CASE("e4m3 keeps every value that it can hold") {
  for (unsigned b = 0; b < 0x100; ++b) {
    CAPTURE(b);
    if ((b & 0x7f) == 0x7f)
      CHECK(std::isnan(value(b)));
    else
      CHECK(bits(value(b)) == b);
  }
  CHECK((bits(std::numeric_limits<float>::quiet_NaN()) & 0x7f) == 0x7f);
  CHECK(value(0x38) == 1.0f);
  CHECK(value(0xc0) == -2.0f);
  CHECK(value(0x01) == 0x1p-9f);
  CHECK(value(0x08) == 0x1p-6f);
  CHECK(value(0x7e) == 448.0f);
}

TEST_CASE("e4m3 rounds to nearest, ties to even") {
  for (unsigned b = 0; b < 0x7e; ++b) {
    CAPTURE(b);
    const float low = value(b), high = value(b + 1), middle = low + (high - low) / 2;
    const unsigned even = b % 2 == 0 ? b : b + 1;
    CHECK(bits(middle) == even);
    CHECK(bits(-middle) == (even | 0x80));
    CHECK(bits(std::nextafter(middle, low)) == b);
    CHECK(bits(std::nextafter(middle, high)) == b + 1);
  }
}

TEST_CASE("e4m3 has no value above 448") {
  for (const float large : {449.0f, 463.0f, 465.0f, 1e30f, std::numeric_limits<float>::infinity()}) {
    CHECK(bits(large) == 0x7e);
    CHECK(bits(-large) == 0xfe);
  }
  CHECK(bits(std::numeric_limits<float>::denorm_min()) == 0);
}

}  // namespace
}  // namespace mfs::core
