#include "kernels/channel_scale.h"

#include <algorithm>

#include "tests/kernels/pool_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

enum class Place { kOwn, kSrc, kResidual };

void check_case(const cases::MapCase& k, DType dtype, const Backend& backend, bool residual, bool relu, Place place) {
  CAPTURE(dtype);
  CAPTURE(backend);
  CAPTURE(residual);
  CAPTURE(relu);
  CAPTURE(static_cast<int>(place));
  const Tensor gate = random_values({k.src.n, 1, 1, k.src.c}, DType::kF32, 0, 9);
  const Tensor in = random_values(k.src, dtype, k.src.c + k.gap, 10),
               add = random_values(k.src, dtype, k.src.c + 2 * k.gap, 11);
  Tensor src = random_values(k.src, dtype, k.src.c + k.gap, 10),
         shortcut = random_values(k.src, dtype, k.src.c + 2 * k.gap, 11);
  Tensor own(k.src, dtype, k.src.c + 3 * k.gap);
  Tensor& dst = place == Place::kSrc ? src : place == Place::kResidual ? shortcut : own;
  const ChannelScale op{src.view(), gate.view(), residual ? View(shortcut.view()) : View(), relu, dst.view()};
  if (!backend.takes(cost(op))) return;
  MFS_REQUIRE_OK(run(backend, op));
  MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) {
                    const double scaled = in.at(n, y, x, c) * gate.at(n, 0, 0, c), shift = residual ? add.at(n, y, x, c) : 0;
                    const double value = relu ? std::max(scaled + shift, 0.0) : scaled + shift;
                    const double arithmetic = kEps * (2 * std::abs(scaled) + std::abs(shift));  // one product, one sum
                    return Expected{value, arithmetic + rounding(dtype, std::abs(value) + arithmetic)};
                  }));
}

TEST_CASE("channel_scale matches the double-precision reference, in place too") {
  for (const auto& k : cases::kMaps) SUBCASE(k.name) {
      const bool small = k.src.elements() < 10000;
      for (const DType dtype : kDTypes) {
        for (const Backend& backend : backends()) {
          check_case(k, dtype, backend, true, true, Place::kResidual);
          if (!small) continue;
          check_case(k, dtype, backend, true, true, Place::kSrc);
          check_case(k, dtype, backend, true, false, Place::kOwn);
          check_case(k, dtype, backend, false, true, Place::kOwn);
          check_case(k, dtype, backend, false, false, Place::kSrc);
        }
      }
    }
}

TEST_CASE("channel_scale refuses what does not fit") {
  const Tensor src({1, 2, 2, 3}, DType::kF32), gate({1, 1, 1, 3}, DType::kF32), wide({1, 1, 1, 4}, DType::kF32);
  const Tensor half({1, 2, 2, 3}, DType::kBF16);
  Tensor dst({1, 2, 2, 3}, DType::kF32), wrong({1, 2, 1, 3}, DType::kF32);
  CHECK(check(ChannelScale{src.view(), gate.view(), {}, true, dst.view()}));
  MFS_CHECK_REFUSED((ChannelScale{src.view(), {}, {}, true, dst.view()}), "gate has no data");
  MFS_CHECK_REFUSED((ChannelScale{src.view(), wide.view(), {}, true, dst.view()}), "gate is 1x1x1x4");
  MFS_CHECK_REFUSED((ChannelScale{src.view(), gate.view(), half.view(), true, dst.view()}), "residual is bf16");
  MFS_CHECK_REFUSED((ChannelScale{src.view(), gate.view(), {}, true, wrong.view()}), "dst is 1x2x1x3");
}

}  // namespace
}  // namespace mfs::core::test
