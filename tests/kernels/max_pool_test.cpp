#include "kernels/max_pool.h"

#include <algorithm>
#include <limits>

#include "tests/kernels/pool_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

double reference(const Tensor& src, const cases::MaxPoolCase& k, int n, int y, int x, int c) {
  double best = -std::numeric_limits<double>::infinity();
  for (int sy = y * k.stride - k.pad; sy < y * k.stride - k.pad + k.kernel; ++sy) {
    for (int sx = x * k.stride - k.pad; sx < x * k.stride - k.pad + k.kernel; ++sx) {
      if (sy >= 0 && sy < k.src.h && sx >= 0 && sx < k.src.w) best = std::max(best, src.at(n, sy, sx, c));
    }
  }
  return best;
}

TEST_CASE("max_pool picks the greatest value, exactly") {
  for (const auto& k : cases::kMaxPool) SUBCASE(k.name) {
      const Shape out{k.src.n, pooled_size(k.src.h, k.kernel, k.stride, k.pad, k.ceil_mode),
                      pooled_size(k.src.w, k.kernel, k.stride, k.pad, k.ceil_mode), k.src.c};
      for (const DType dtype : kDTypes) {
        Tensor src = random_values(k.src, dtype, k.src.c + k.gap, 1);
        for (int c = 0; c < k.src.c; ++c) src.set(0, 0, 0, c, -10);  // padding must not win against negative numbers
        for (const Backend& backend : backends()) {
          CAPTURE(dtype);
          CAPTURE(backend);
          Tensor dst(out, dtype, k.src.c + 2 * k.gap);
          const MaxPool op{src.view(), k.kernel, k.stride, k.pad, k.ceil_mode, dst.view()};
          if (!backend.takes(cost(op))) continue;
          MFS_REQUIRE_OK(run(backend, op));
          MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) { return Expected{reference(src, k, n, y, x, c)}; }));
        }
      }
    }
}

TEST_CASE("max_pool passes a NaN on") {
  for (const int at : {0, 1}) {
    Tensor src = random_values({1, 2, 2, 40}, kDTypes[0], 0, 2), dst({1, 1, 1, 40}, kDTypes[0]);
    src.set(0, at, at, 7, std::numeric_limits<double>::quiet_NaN());
    MFS_REQUIRE_OK(run(backends().front(), MaxPool{src.view(), 2, 2, 0, false, dst.view()}));
    for (int c = 0; c < 40; ++c) CHECK(std::isnan(dst.at(0, 0, 0, c)) == (c == 7));
  }
}

TEST_CASE("pooled_size is PyTorch's") {
  CHECK(pooled_size(256, 3, 2, 1, false) == 128);
  CHECK(pooled_size(256, 3, 2, 1, true) == 129);
  CHECK(pooled_size(255, 3, 2, 1, true) == 128);
  CHECK(pooled_size(5, 2, 2, 0, false) == 2);
  CHECK(pooled_size(5, 2, 2, 0, true) == 3);
  CHECK(pooled_size(4, 3, 3, 1, true) == 2);
  CHECK(pooled_size(4, 2, 3, 1, true) == 2);
  CHECK(pooled_size(1, 2, 2, 0, true) == 1);
  CHECK(pooled_size(1, 2, 2, 0, false) == 0);
}

TEST_CASE("max_pool refuses what does not fit") {
  const Tensor src({1, 4, 4, 3}, DType::kF32);
  Tensor dst({1, 2, 2, 3}, DType::kF32), wrong({1, 2, 3, 3}, DType::kF32), half({1, 2, 2, 3}, DType::kBF16);
  CHECK(check(MaxPool{src.view(), 2, 2, 0, false, dst.view()}));
  MFS_CHECK_REFUSED((MaxPool{{}, 2, 2, 0, false, dst.view()}), "src has no data");
  MFS_CHECK_REFUSED((MaxPool{src.view(), 2, 2, 0, false, wrong.view()}), "expected 1x2x2x3");
  MFS_CHECK_REFUSED((MaxPool{src.view(), 2, 2, 0, false, half.view()}), "dst is bf16");
  MFS_CHECK_REFUSED((MaxPool{src.view(), 2, 2, 2, false, dst.view()}), "padding");
  MFS_CHECK_REFUSED((MaxPool{src.view(), 9, 2, 0, false, dst.view()}), "larger than src");
}

}  // namespace
}  // namespace mfs::core::test
