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

TEST_CASE("quantise matches the double-precision reference") {
  for (const Case& k : kCases)
    for (const Backend& backend : backends()) {
      CAPTURE(k.shape.c);
      CAPTURE(backend);
      Tensor src = random_values(k.shape, DType::kF32, k.src_pitch, 40, 300 * k.scale);  // some below 0, some above 255 steps
      int exponent = 0;
      const bool exact = std::frexp(k.scale, &exponent) == 0.5f;
      src.set(0, 0, 0, 0, 2.5 * k.scale);  // halfway: to even, where the scale is exact
      Tensor dst(k.shape, DType::kU8, k.dst_pitch);
      MFS_REQUIRE_OK(run(backend.device, Quantise{src.view(), k.scale, dst.view()}));
      MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) -> Expected {
                        const double steps = std::clamp(src.at(n, y, x, c) / k.scale, 0.0, 255.0);
                        if (exact) return {std::nearbyint(steps)};
                        return {steps, 0.5 + 2 * kEps * steps + 255 * kEps};  // reciprocal, product; a half near 255
                      }));
    }
}

TEST_CASE("quantise clamps whatever comes") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float values[] = {-kInfinity, -3, -0.0f, 0.49f, 0.51f, 254.49f, 254.51f, 255, 1e30f, kInfinity, std::nanf("")};
  constexpr int kExpected[] = {0, 0, 0, 0, 1, 254, 255, 255, 255, 255, 0};
  std::uint8_t result[std::size(values)];
  const Shape shape{1, 1, 1, static_cast<int>(std::size(values))};
  MFS_REQUIRE_OK(run(Cpu{1}, Quantise{{values, DType::kF32, shape}, 1, {result, DType::kU8, shape}}));
  for (std::size_t i = 0; i < std::size(values); ++i) CHECK(result[i] == kExpected[i]);
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
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.src.dtype = DType::kBF16; }), "src is bf16");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.dtype = DType::kF32; }), "dst is f32");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.data = nullptr; }), "no data");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.pitch = 2; }), "pitch");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.dst.shape.w = 1; }), "expected 1x1x2x3");
  MFS_CHECK_REFUSED(with([](Quantise& q) { q.scale = 0; }), "scale");
}

}  // namespace
}  // namespace mfs::core::test
