#include "kernels/global_average.h"

#include "tests/kernels/pool_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

TEST_CASE("global_average is the mean of every channel") {
  for (const auto& k : cases::kMaps) SUBCASE(k.name) {
      for (const DType dtype : kDTypes) {
        const Tensor src = random_values(k.src, dtype, k.src.c + k.gap, 3);
        const double area = static_cast<double>(k.src.h) * k.src.w;
        const auto reference = [&](int n, int c) {
          Expected e;
          for (int y = 0; y < k.src.h; ++y) {
            for (int x = 0; x < k.src.w; ++x) {
              const double v = src.at(n, y, x, c);
              e.value += v / area, e.bound += std::abs(v) / area;
            }
          }
          e.bound *= (area + 2) * kEps;  // any order of `area` additions, the factor 1 / area, the multiplication
          return e;
        };
        std::vector<Expected> expected;
        for (int n = 0; n < k.src.n; ++n) {
          for (int c = 0; c < k.src.c; ++c) expected.push_back(reference(n, c));
        }
        for (const Backend& backend : backends()) {
          CAPTURE(dtype);
          CAPTURE(backend);
          Tensor dst({k.src.n, 1, 1, k.src.c}, DType::kF32);
          GlobalAverage op{src.view(), dst.view()};
          if (!backend.takes(cost(op))) continue;
          GuardedBytes scratch(scratch_bytes(backend, op));
          op.scratch = reinterpret_cast<float*>(scratch.data());
          MFS_REQUIRE_OK(run(backend, op));
          MFS_CHECK_CLOSE(dst, ([&](int n, int, int, int c) { return expected[n * k.src.c + c]; }));
          CHECK(scratch.canaries_intact());
        }
      }
    }
}

TEST_CASE("global_average refuses what does not fit") {
  const Tensor src({2, 4, 4, 3}, DType::kF32);
  Tensor dst({2, 1, 1, 3}, DType::kF32), wrong({1, 1, 1, 3}, DType::kF32), half({2, 1, 1, 3}, DType::kBF16);
  float scratch[6];
  CHECK(check(GlobalAverage{src.view(), dst.view(), scratch}));
  MFS_CHECK_REFUSED((GlobalAverage{src.view(), dst.view(), nullptr}), "no scratch");
  MFS_CHECK_REFUSED((GlobalAverage{src.view(), wrong.view(), scratch}), "expected 2x1x1x3");
  MFS_CHECK_REFUSED((GlobalAverage{src.view(), half.view(), scratch}), "dst is bf16");
}

}  // namespace
}  // namespace mfs::core::test
