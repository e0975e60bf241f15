#include "kernels/quantise.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

struct Case {
  Shape shape;
  int src_pitch, dst_pitch;
  float scale;  // exact where it is a power of two
};
constexpr Case kCases[] = {{{1, 1, 1, 1}, 0, 0, 1},        {{1, 3, 5, 7}, 0, 0, 0.5f},      {{2, 4, 3, 64}, 0, 0, 0.037f},
                           {{1, 5, 6, 33}, 40, 50, 0.25f}, {{1, 7, 2, 130}, 131, 0, 0.29f}, {{1, 40, 40, 256}, 0, 0, 0.125f}};

#if MFS_TEST_CUDA
constexpr DType kReads[] = {DType::kF16, DType::kBF16}, kNotRead = DType::kF32;
constexpr DType kWrites[] = {DType::kU8, DType::kE4m3};
#else
constexpr DType kReads[] = {DType::kF32}, kNotRead = DType::kBF16;
constexpr DType kWrites[] = {DType::kU8};
#endif

void run_case(const Case& k, DType from, DType to, const Backend& backend) {
  CAPTURE(k.shape.c);
  CAPTURE(from);
  CAPTURE(to);
  CAPTURE(backend);
  const double largest = largest_of_narrow(to), least = to == DType::kU8 ? 0 : -largest;
  Tensor src = random_values(k.shape, from, k.src_pitch, 40, 1.2 * largest * k.scale);  // some below 0, some too large
  int exponent = 0;
  const bool exact = std::frexp(k.scale, &exponent) == 0.5f;
  src.set(0, 0, 0, 0, 2.5 * k.scale);  // halfway for u8: to even, where the scale is exact
  Tensor dst(k.shape, to, k.dst_pitch);
  MFS_REQUIRE_OK(run(backend, Quantise{src.view(), k.scale, dst.view()}));
  MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) -> Expected {
                    const double units = std::clamp(src.at(n, y, x, c) / k.scale, least, largest);
                    if (exact) return {to == DType::kU8 ? std::nearbyint(units) : stored(to, units)};
                    const double inexact = 2 * kEps * (std::abs(units) + largest);  // reciprocal, product
                    return {units, inexact + rounding(to, std::abs(units) + inexact)};
                  }));
}

TEST_CASE("quantise matches the double-precision reference") {
  for (const Case& k : kCases)
    for (const DType from : kReads)
      for (const DType to : kWrites)
        for (const Backend& backend : backends()) run_case(k, from, to, backend);
}

TEST_CASE("quantise clamps whatever comes") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float values[] = {-kInfinity, -3, -0.0f, 0.25f, 0.75f, 254.25f, 254.75f, 255, 6e4f, kInfinity, std::nanf("")};
  constexpr int kExpected[] = {0, 0, 0, 0, 1, 254, 255, 255, 255, 255, 0};
  const Shape shape{1, 1, 1, static_cast<int>(std::size(values))};
  Tensor src(shape, kReads[0]), dst(shape, DType::kU8);
  for (int c = 0; c < shape.c; ++c) src.set(0, 0, 0, c, values[c]);
  MFS_REQUIRE_OK(run(backends().front(), Quantise{src.view(), 1, dst.view()}));
  for (int c = 0; c < shape.c; ++c) CHECK(dst.at(0, 0, 0, c) == kExpected[c]);
  if (std::ranges::find(kWrites, DType::kE4m3) == std::end(kWrites)) return;
  Tensor numbers(shape, DType::kE4m3);
  MFS_REQUIRE_OK(run(backends().front(), Quantise{src.view(), 1, numbers.view()}));
  for (int c = 0; c + 1 < shape.c; ++c) CHECK(numbers.at(0, 0, 0, c) == stored(DType::kE4m3, src.at(0, 0, 0, c)));
  CHECK(std::isnan(numbers.at(0, 0, 0, shape.c - 1)));
}

TEST_CASE("quantise refuses what does not fit") {
  float in[6] = {};
  std::uint8_t out[6] = {};
  const Quantise good{{in, DType::kF32, {1, 1, 2, 3}}, 1, {out, DType::kU8, {1, 1, 2, 3}}};
  CHECK(check(good));
  const auto with = [&](const auto& change) {
    Quantise op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.src.dtype = DType::kI8; }), "src is i8");
  CHECK_FALSE(run(backends().front().device, with([](Quantise& q) { q.src.dtype = kNotRead; })));
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.dtype = DType::kF32; }), "dst is f32");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.data = nullptr; }), "no data");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.pitch = 2; }), "pitch");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.shape.w = 1; }), "expected 1x1x2x3");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.scale = 0; }), "scale");
}

}  // namespace
}  // namespace mfs::core::test
