#include "kernels/resize_bilinear.h"

#include <algorithm>

#include "tests/kernels/pool_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

#if MFS_TEST_CUDA
#include "kernels/cuda/lerp.h"
#endif

namespace mfs::core::test {
namespace {

// Position in the source as PyTorch's documentation defines it.
double position(int i, int src, int dst, bool align_corners) {
  if (align_corners) return dst == 1 ? 0 : static_cast<double>(i) * (src - 1) / (dst - 1);
  return std::clamp((i + 0.5) * src / dst - 0.5, 0.0, src - 1.0);
}

Expected reference(const Tensor& src, const Shape& out, bool align_corners, int n, int y, int x, int c) {
  const Shape& in = src.shape();
  const double py = position(y, in.h, out.h, align_corners), px = position(x, in.w, out.w, align_corners);
  Expected e;
  double magnitude = 0;
  const int y0 = static_cast<int>(py), x0 = static_cast<int>(px);
  for (int sy = y0; sy <= std::min(y0 + 1, in.h - 1); ++sy) {
    for (int sx = x0; sx <= std::min(x0 + 1, in.w - 1); ++sx) {
      const double weight = std::max(0.0, 1 - std::abs(sy - py)) * std::max(0.0, 1 - std::abs(sx - px));
      if (weight == 0) continue;
      e.value += weight * src.at(n, sy, sx, c);
      magnitude = std::max(magnitude, std::abs(src.at(n, sy, sx, c)));
    }
  }
  // t and 1 - t are rounded along both axes (4), two products and a sum along each (6); values are averages of the corners.
  // Where every corner has its own weight, that is a product (1) of these, and one more product and three sums (4).
  const double arithmetic = 10 * kEps * magnitude;
  e.bound = arithmetic + rounding(src.dtype(), std::abs(e.value) + arithmetic);
  return e;
}

TEST_CASE("resize_bilinear matches the double-precision reference") {
  for (const auto& k : cases::kResize) SUBCASE(k.name) {
      const bool small = k.src.elements() < 10000;
      Shape in = k.src;
      if (!small) in.c = 20;  // the reference is slow; the geometry is what matters
      const Shape out{in.n, k.h, k.w, in.c};
      for (const DType dtype : kDTypes) {
        const Tensor src = random_values(in, dtype, in.c + k.gap, 12);
        for (const bool align_corners : {true, false}) {
          for (const Backend& backend : backends()) {
            CAPTURE(dtype);
            CAPTURE(align_corners);
            CAPTURE(backend);
            Tensor dst(out, dtype, in.c + 2 * k.gap);
            const ResizeBilinear op{src.view(), align_corners, dst.view()};
            if (!backend.takes(cost(op)) || (!small && &backend != &backends().front())) continue;
            MFS_REQUIRE_OK(run(backend, op));
            MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) { return reference(src, out, align_corners, n, y, x, c); }));
          }
        }
      }
    }
}

TEST_CASE("resize_bilinear reproduces corners and identity exactly") {
  for (const DType dtype : kDTypes) {
    const Tensor src = random_values({1, 5, 7, 3}, dtype, 0, 13);
    Tensor same({1, 5, 7, 3}, dtype), large({1, 13, 31, 3}, dtype);
    for (const bool align_corners : {true, false}) {
      CAPTURE(dtype);
      CAPTURE(align_corners);
      MFS_REQUIRE_OK(run(backends().front(), ResizeBilinear{src.view(), align_corners, same.view()}));
      MFS_CHECK_CLOSE(same, ([&](int n, int y, int x, int c) { return Expected{src.at(n, y, x, c)}; }));
      MFS_REQUIRE_OK(run(backends().front(), ResizeBilinear{src.view(), align_corners, large.view()}));
      CHECK(large.at(0, 0, 0, 1) == src.at(0, 0, 0, 1));
      CHECK(large.at(0, 12, 30, 2) == src.at(0, 4, 6, 2));
    }
  }
}

#if MFS_TEST_CUDA
TEST_CASE("positions in integers are those in double") {
  constexpr int kSizes[] = {1, 2, 3, 6, 7, 49, 64, 65, 129, 1000, 4099, 20011};
  for (const int src : kSizes) {
    for (const int dst : kSizes) {
      for (const bool align_corners : {true, false}) {
        CAPTURE(src);
        CAPTURE(dst);
        CAPTURE(align_corners);
        const LerpAxis axis = lerp_axis(src, dst, align_corners);
        int different = 0;
        for (int i = 0; i < dst; ++i) {
          const Lerp a = lerp_on(axis, i), b = lerp_at(i, src, dst, align_corners);
          if (a.lo != b.lo || a.hi != b.hi || !(std::abs(a.t - b.t) <= 2 * kEps)) ++different;  // each t is rounded once
        }
        CHECK(different == 0);
      }
    }
  }
  CHECK(check_lerp("resize_bilinear", 32000, 32000));
  CHECK(!check_lerp("resize_bilinear", 40000, 40000));
  CHECK(!check_lerp("resize_bilinear", 1, (1 << 20) + 1));
}
#endif

TEST_CASE("resize_bilinear refuses what does not fit") {
  const Tensor src({1, 2, 2, 3}, DType::kF32);
  Tensor dst({1, 4, 4, 3}, DType::kF32), wrong({1, 4, 4, 2}, DType::kF32), half({1, 4, 4, 3}, DType::kBF16);
  CHECK(check(ResizeBilinear{src.view(), true, dst.view()}));
  MFS_CHECK_REFUSED((ResizeBilinear{src.view(), true, {}}), "dst has no data");
  MFS_CHECK_REFUSED((ResizeBilinear{src.view(), true, wrong.view()}), "expected 1x4x4x3");
  MFS_CHECK_REFUSED((ResizeBilinear{src.view(), true, half.view()}), "dst is bf16");
}

}  // namespace
}  // namespace mfs::core::test
