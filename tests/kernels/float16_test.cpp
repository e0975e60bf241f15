#include "kernels/float16.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace mfs::core {
namespace {

float value(unsigned bits) { return static_cast<float>(std::bit_cast<Float16>(static_cast<std::uint16_t>(bits))); }
unsigned bits(float v) { return Float16(v).bits; }

TEST_CASE("float16 keeps every value that it can hold") {
  for (unsigned b = 0; b < 0x10000; ++b) {
    if ((b & 0x7fff) > 0x7c00) {
      if (!std::isnan(value(b)) || (bits(value(b)) & 0x7fff) <= 0x7c00) FAIL_CHECK(b);
    } else if (bits(value(b)) != b) {
      FAIL_CHECK(b);
    }
  }
  CHECK(value(0x3c00) == 1.0f);
  CHECK(value(0xc000) == -2.0f);
  CHECK(value(0x0001) == 0x1p-24f);
  CHECK(value(0x0400) == 0x1p-14f);
  CHECK(value(0x7bff) == 65504.0f);
  CHECK(value(0x7c00) == std::numeric_limits<float>::infinity());
}

TEST_CASE("float16 rounds to nearest, ties to even") {
  for (unsigned b = 0; b < 0x7bff; ++b) {
    const float low = value(b), high = value(b + 1), middle = low + (high - low) / 2;
    const unsigned even = b % 2 == 0 ? b : b + 1;
    if (bits(middle) != even || bits(-middle) != (even | 0x8000)) FAIL_CHECK(b);
    if (bits(std::nextafter(middle, low)) != b || bits(std::nextafter(middle, high)) != b + 1) FAIL_CHECK(b);
  }
}

TEST_CASE("float16 has no value above 65504") {
  CHECK(bits(65519.996f) == 0x7bff);
  CHECK(bits(65520.0f) == 0x7c00);
  CHECK(bits(std::numeric_limits<float>::max()) == 0x7c00);
  CHECK(bits(-std::numeric_limits<float>::infinity()) == 0xfc00);
  CHECK(bits(std::numeric_limits<float>::denorm_min()) == 0);
}

}  // namespace
}  // namespace mfs::core
