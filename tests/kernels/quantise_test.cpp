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
#else
constexpr DType kReads[] = {DType::kF32}, kNotRead = DType::kBF16;
#endif

TEST_CASE("quantise matches the double-precision reference") {
  for (const Case& k : kCases)
    for (const DType dtype : kReads)
      for (const Backend& backend : backends()) {
        CAPTURE(k.shape.c);
        CAPTURE(dtype);
        CAPTURE(backend);
        Tensor src = random_values(k.shape, dtype, k.src_pitch, 40, 300 * k.scale);  // some below 0, some above 255 steps
        int exponent = 0;
        const bool exact = std::frexp(k.scale, &exponent) == 0.5f;
        src.set(0, 0, 0, 0, 2.5 * k.scale);  // halfway: to even, where the scale is exact
        Tensor dst(k.shape, DType::kU8, k.dst_pitch);
        MFS_REQUIRE_OK(run(backend, Quantise{src.view(), k.scale, dst.view()}));
        MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) -> Expected {
                          const double steps = std::clamp(src.at(n, y, x, c) / k.scale, 0.0, 255.0);
                          if (exact) return {std::nearbyint(steps)};
                          return {steps, 0.5 + 2 * kEps * steps + 255 * kEps};  // reciprocal, product; a half near 255
                        }));
      }
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
