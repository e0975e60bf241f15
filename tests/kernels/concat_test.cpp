#include "kernels/concat.h"

#include "tests/kernels/pyramid_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

TEST_CASE("concat places its sources next to each other") {
  for (const auto& k : cases::kConcat) SUBCASE(k.name) {
      for (const DType dtype : kDTypes) {
        std::vector<Tensor> srcs;
        std::vector<View> views;
        std::vector<std::pair<int, int>> origin;  // source and channel of every channel of dst
        for (const int channels : k.channels) {
          const int index = static_cast<int>(srcs.size());
          const Shape shape{k.dst.n, k.dst.h, k.dst.w, channels};
          srcs.push_back(random_values(shape, dtype, channels + k.gap * (index + 1), 10 + index));
          for (int c = 0; c < channels; ++c) origin.emplace_back(index, c);
        }
        for (const Tensor& src : srcs) views.push_back(src.view());
        for (const Backend& backend : backends()) {
          CAPTURE(dtype);
          CAPTURE(backend);
          Tensor dst(k.dst, dtype, k.dst.c + k.gap);
          const Concat op{views, dst.view()};
          if (!backend.takes({.flops = op.dst.shape.elements()})) continue;  // it has none, but takes its time
          MFS_REQUIRE_OK(run(backend, op));
          MFS_CHECK_CLOSE(
              dst, ([&](int n, int y, int x, int c) { return Expected{srcs[origin[c].first].at(n, y, x, origin[c].second)}; }));
        }
      }
    }
}

TEST_CASE("concat refuses what does not fit") {
  const Tensor a({1, 2, 2, 3}, DType::kF32), b({1, 2, 2, 4}, DType::kF32), taller({1, 3, 2, 4}, DType::kF32);
  const Tensor half({1, 2, 2, 4}, DType::kBF16);
  Tensor dst({1, 2, 2, 7}, DType::kF32), narrow({1, 2, 2, 6}, DType::kF32);
  const std::vector<View> good{a.view(), b.view()}, wrong_size{a.view(), taller.view()}, wrong_type{a.view(), half.view()};
  CHECK(check(Concat{good, dst.view()}));
  MFS_CHECK_REFUSED((Concat{{}, dst.view()}), "nothing to concatenate");
  MFS_CHECK_REFUSED((Concat{good, narrow.view()}), "7 channels, dst has 6");
  MFS_CHECK_REFUSED((Concat{wrong_size, dst.view()}), "expected 1x2x2x4");
  MFS_CHECK_REFUSED((Concat{wrong_type, dst.view()}), "bf16");
}

}  // namespace
}  // namespace mfs::core::test
