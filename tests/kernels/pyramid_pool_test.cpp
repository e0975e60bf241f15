#include "kernels/pyramid_pool.h"

#include <cmath>

#include "tests/kernels/pyramid_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

// One bin straight from the definition: adaptive average pooling as in PyTorch.
Expected reference(const Tensor& src, int bins, int n, int by, int bx, int c) {
  const double h = src.shape().h, w = src.shape().w;
  const int y0 = static_cast<int>(std::floor(by * h / bins)), y1 = static_cast<int>(std::ceil((by + 1) * h / bins));
  const int x0 = static_cast<int>(std::floor(bx * w / bins)), x1 = static_cast<int>(std::ceil((bx + 1) * w / bins));
  const double area = (y1 - y0) * (x1 - x0);
  Expected e;
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) {
      e.value += src.at(n, y, x, c) / area;
      e.bound += std::abs(src.at(n, y, x, c)) / area;
    }
  }
  e.bound *= (area + 2) * kEps;  // `area` additions in any order, 1 / area, the multiplication
  return e;
}

struct Pooled {
  std::vector<Tensor> grids;
  bool scratch_intact;
};

// Without grids if the problem is not worth this backend's time.
Pooled pool(const Backend& backend, const Tensor& src, const std::vector<int>& bins, int gap) {
  Pooled result{{}, false};
  std::vector<MutView> views;
  for (const int b : bins) {
    result.grids.emplace_back(Shape{src.shape().n, b, b, src.shape().c}, DType::kF32, src.shape().c + gap);
  }
  for (Tensor& grid : result.grids) views.push_back(grid.view());
  PyramidPool op{src.view(), views, {}};
  if (!backend.takes({.flops = 20 * cost(op).flops})) return {{}, true};  // emulated, its many blocks take their time
  GuardedBytes scratch(scratch_bytes(backend, op));
  op.scratch = scratch.span();
  MFS_REQUIRE_OK(run(backend, op));
  result.scratch_intact = scratch.canaries_intact();
  return result;
}

TEST_CASE("pyramid_pool matches the double-precision reference") {
  for (const auto& k : cases::kPyramid) SUBCASE(k.name) {
      Shape shape = k.src;
      if (shape.elements() > 1000000) shape.c = 200;  // the reference is slow
      for (const DType dtype : kDTypes) {
        const Tensor src = random_values(shape, dtype, shape.c + k.gap, 14);
        std::vector<std::vector<Expected>> expected;  // of every level: computed once for all backends
        for (const int bins : k.bins) {
          std::vector<Expected>& level = expected.emplace_back();
          for (int i = 0; i < shape.n * bins * bins * shape.c; ++i) {
            const int c = i % shape.c, bin = i / shape.c;
            level.push_back(reference(src, bins, bin / (bins * bins), bin / bins % bins, bin % bins, c));
          }
        }
        for (const Backend& backend : backends()) {
          CAPTURE(dtype);
          CAPTURE(backend);
          const Pooled pooled = pool(backend, src, k.bins, k.gap);
          CHECK(pooled.scratch_intact);
          for (std::size_t i = 0; i < pooled.grids.size(); ++i) {
            const int bins = k.bins[i];
            CAPTURE(bins);
            MFS_CHECK_CLOSE(pooled.grids[i], ([&](int n, int y, int x, int c) {
                              return expected[i][((n * bins + y) * bins + x) * shape.c + c];
                            }));
          }
        }
      }
    }
}

TEST_CASE("pyramid_pool does not depend on the number of threads or their order") {
  const Tensor src = random_values({1, 13, 17, 200}, DType::kBF16, 0, 15);
  const std::vector<int> bins{1, 2, 3, 6};
  const Pooled one = pool(backends().front(), src, bins, 0), three = pool(backends().back(), src, bins, 0);
  CHECK(one.grids.size() == three.grids.size());
  for (std::size_t i = 0; i < one.grids.size(); ++i) {
    MFS_CHECK_CLOSE(three.grids[i], ([&](int n, int y, int x, int c) { return Expected{one.grids[i].at(n, y, x, c)}; }));
  }
}

TEST_CASE("pyramid_pool refuses what does not fit") {
  const Tensor src({1, 4, 4, 3}, DType::kF32);
  Tensor grid({1, 2, 2, 3}, DType::kF32), oblong({1, 2, 3, 3}, DType::kF32), half({1, 2, 2, 3}, DType::kBF16);
  std::vector<MutView> one{grid.view()}, not_square{oblong.view()}, wrong_type{half.view()}, many(9, grid.view());
  CHECK(check(PyramidPool{src.view(), one, {}}));
  MFS_CHECK_REFUSED((PyramidPool{src.view(), {}, {}}), "between 1 and 8 grids");
  MFS_CHECK_REFUSED((PyramidPool{src.view(), many, {}}), "not 9");
  MFS_CHECK_REFUSED((PyramidPool{src.view(), not_square, {}}), "expected 1x2x2x3");
  MFS_CHECK_REFUSED((PyramidPool{src.view(), wrong_type, {}}), "a grid is bf16");
#if MFS_TEST_CUDA
  const Tensor map({1, 4, 4, 3}, kDTypes[0]);
  Tensor fine({1, 40, 40, 3}, DType::kF32);
  std::vector<MutView> two_fine{fine.view(), fine.view()};
  CHECK(run(backends().front(), PyramidPool{map.view(), two_fine, {}}).message().find("at most 64 bins") != std::string::npos);
#endif
  CHECK(run(backends().front(), PyramidPool{src.view(), one, {}}).message().find("bytes of scratch") != std::string::npos);
}

}  // namespace
}  // namespace mfs::core::test
