#include "kernels/cuda/simt/types.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace mfs::core::simt {
namespace {

// All representable magnitudes are nearest to themselves, and a value between two of them goes to the nearer, ties to even.
template <class T, class Convert>
void check_format(unsigned largest, Convert convert) {
  for (unsigned i = 0; i < largest; ++i) {
    CAPTURE(i);
    const T low{static_cast<decltype(T::bits)>(i)}, high{static_cast<decltype(T::bits)>(i + 1)};
    const float a = to_float(low), b = to_float(high), middle = a + (b - a) / 2;
    CHECK(convert(a).bits == i);
    CHECK(convert(-b).bits == (i + 1) + (1u << (8 * sizeof(T) - 1)));
    CHECK(convert(middle).bits == (i % 2 ? i + 1 : i));
    CHECK(convert(std::nextafter(middle, INFINITY)).bits == i + 1);
    CHECK(convert(std::nextafter(middle, -1.f)).bits == i);
  }
}

TEST_CASE("half: every value, every tie") {
  check_format<Half>(0x7bff, [](float x) { return to_half(x); });
  CHECK(to_float(Half{0x3c00}) == 1.f);
  CHECK(to_float(Half{0x7bff}) == 65504.f);
  CHECK(to_float(Half{1}) == std::ldexp(1.f, -24));
  CHECK(to_half(65519.9f).bits == 0x7bff);
  CHECK(to_half(65520.f).bits == 0x7c00);
  CHECK(to_half(-INFINITY).bits == 0xfc00);
  CHECK(std::isnan(to_float(to_half(NAN))));
}

TEST_CASE("bfloat16: every value, every tie") {
  check_format<BFloat16>(0x7f7e, [](float x) { return to_bfloat16(x); });
  CHECK(to_float(BFloat16{0x3f80}) == 1.f);
  CHECK(to_bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(std::isnan(to_float(to_bfloat16(NAN))));
}

TEST_CASE("e4m3: every value, every tie, saturation") {
  check_format<E4m3>(0x7e, [](float x) { return to_e4m3(x); });
  CHECK(to_float(E4m3{0x38}) == 1.f);
  CHECK(to_float(E4m3{0x7e}) == 448.f);
  CHECK(to_float(E4m3{1}) == std::ldexp(1.f, -9));
  CHECK(to_e4m3(1e6f).bits == 0x7e);
  CHECK(to_e4m3(-INFINITY).bits == 0xfe);
  CHECK(std::isnan(to_float(to_e4m3(NAN))));
}

}  // namespace
}  // namespace mfs::core::simt
