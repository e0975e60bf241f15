#include "kernels/pyramid_head.h"

#include <algorithm>

#include "kernels/resize_bilinear.h"
#include "tests/kernels/pyramid_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

struct Problem {
  Tensor features;
  std::vector<Tensor> priors;
  Tensor weights;
  float bias;

  std::vector<View> views() const {
    std::vector<View> v;
    for (const Tensor& p : priors) v.push_back(p.view());
    return v;
  }
};

Problem make(const Shape& shape, const std::vector<int>& bins, DType dtype, int gap) {
  Problem p{random_values(shape, dtype, shape.c + gap, 16), {}, random_values({1, 1, 1, shape.c}, DType::kF32, 0, 17), 0.375f};
  for (const int b : bins) {
    p.priors.push_back(random_values({shape.n, b, b, shape.c}, DType::kF32, 0, 18 + static_cast<std::uint64_t>(b)));
  }
  return p;
}

Expected reference(const Problem& p, bool align_corners, int n, int y, int x) {
  const Shape& s = p.features.shape();
  Expected e{p.bias, 0};
  double magnitude = std::abs(p.bias);
  for (int c = 0; c < s.c; ++c) {
    double v = p.features.at(n, y, x, c), size = std::abs(v);
    for (const Tensor& prior : p.priors) {
      const int b = prior.shape().h;
      const Lerp ly = lerp_at(y, b, s.h, align_corners), lx = lerp_at(x, b, s.w, align_corners);
      const double ty = ly.t, tx = lx.t;
      const double top = (1 - tx) * prior.at(n, ly.lo, lx.lo, c) + tx * prior.at(n, ly.lo, lx.hi, c);
      const double bottom = (1 - tx) * prior.at(n, ly.hi, lx.lo, c) + tx * prior.at(n, ly.hi, lx.hi, c);
      v += (1 - ty) * top + ty * bottom;
      size += 1;  // priors lie in [-1, 1), and so do their averages
    }
    const double weight = p.weights.at(0, 0, 0, c);
    e.value += weight * std::max(v, 0.0);
    magnitude += std::abs(weight) * size;
  }
  // Per channel at most 8 roundings of a prior and one per addition of a prior; then the product and c + 1 additions.
  e.bound = kEps * magnitude * (8 + static_cast<double>(p.priors.size()) + 1 + s.c + 1);
  return e;
}

TEST_CASE("pyramid_head matches the double-precision reference") {
  for (const auto& k : cases::kPyramid) SUBCASE(k.name) {
      Shape shape = k.src;
      if (shape.elements() > 1000000) shape.c = 512;  // the PSP bottleneck's width
      const bool small = shape.elements() < 10000;
      for (const DType dtype : kDTypes) {
        const Problem p = make(shape, k.bins, dtype, k.gap);
        const std::vector<View> priors = p.views();
        const Tensor& weights = p.weights;
        for (const bool align_corners : {true, false}) {
          for (const Backend& backend : backends()) {
            CAPTURE(dtype);
            CAPTURE(align_corners);
            CAPTURE(backend);
            Tensor logit({shape.n, shape.h, shape.w, 1}, DType::kF32);
            PyramidHead op{p.features.view(), priors, static_cast<const float*>(weights.view().data), p.bias, align_corners,
                           logit.view(),      {}};
            if (!backend.takes(cost(op)) || (!small && &backend != &backends().front())) continue;
            GuardedBytes scratch(scratch_bytes(backend, op));
            op.scratch = scratch.span();
            MFS_REQUIRE_OK(run(backend, op));
            MFS_CHECK_CLOSE(logit, ([&](int n, int y, int x, int) { return reference(p, align_corners, n, y, x); }));
            CHECK(scratch.canaries_intact());
          }
        }
      }
    }
}

TEST_CASE("pyramid_head works without priors") {
  const Problem p = make({1, 3, 4, 21}, {}, kDTypes[0], 0);
  Tensor logit({1, 3, 4, 1}, DType::kF32);
  PyramidHead op{p.features.view(), {}, static_cast<const float*>(p.weights.view().data), p.bias, true, logit.view(), {}};
  GuardedBytes scratch(scratch_bytes(backends().front(), op));
  op.scratch = scratch.span();
  MFS_REQUIRE_OK(run(backends().front(), op));
  MFS_CHECK_CLOSE(logit, ([&](int n, int y, int x, int) { return reference(p, true, n, y, x); }));
}

TEST_CASE("pyramid_head refuses what does not fit") {
  const Problem p = make({1, 3, 4, 5}, {2}, DType::kF32, 0);
  const Tensor narrow({1, 2, 2, 4}, DType::kF32), oblong({1, 2, 3, 5}, DType::kF32), half({1, 2, 2, 5}, DType::kBF16);
  const std::vector<View> good = p.views(), wrong_channels{narrow.view()}, not_square{oblong.view()}, wrong_type{half.view()};
  Tensor logit({1, 3, 4, 1}, DType::kF32), wrong({1, 4, 3, 1}, DType::kF32);
  const float weights[5] = {};
  const View f = p.features.view();
  CHECK(check(PyramidHead{f, good, weights, 0, true, logit.view(), {}}));
  MFS_CHECK_REFUSED((PyramidHead{f, good, nullptr, 0, true, logit.view(), {}}), "no weights");
  MFS_CHECK_REFUSED((PyramidHead{f, wrong_channels, weights, 0, true, logit.view(), {}}), "expected 1x2x2x5");
  MFS_CHECK_REFUSED((PyramidHead{f, not_square, weights, 0, true, logit.view(), {}}), "a prior is 1x2x3x5");
  MFS_CHECK_REFUSED((PyramidHead{f, wrong_type, weights, 0, true, logit.view(), {}}), "a prior is bf16");
  MFS_CHECK_REFUSED((PyramidHead{f, good, weights, 0, true, wrong.view(), {}}), "logit is 1x4x3x1");
#if MFS_TEST_CUDA
  const Problem fine = make({1, 3, 4, 5}, std::vector<int>(9, 2), kDTypes[0], 0);
  const std::vector<View> nine = fine.views();
  const PyramidHead too_many{fine.features.view(), nine, weights, 0, true, logit.view(), {}};
  CHECK(run(backends().front(), too_many).message().find("at most 8 priors, not 9") != std::string::npos);
#else
  CHECK(run(backends().front(), PyramidHead{f, good, weights, 0, true, logit.view(), {}}).message().find("scratch") !=
        std::string::npos);
#endif
}

}  // namespace
}  // namespace mfs::core::test
