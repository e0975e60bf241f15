#include "kernels/upsample_mask.h"

#include <algorithm>
#include <vector>

#include "kernels/resize_bilinear.h"
#include "tests/kernels/mask_outputs.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  int grid_h, grid_w, height, width;
};
constexpr Case kCases[] = {
    {"one pixel", 1, 1, 1, 1},        {"one pixel to many", 1, 1, 7, 5},
    {"one row", 1, 9, 4, 33},         {"up, oblong", 8, 11, 37, 101},
    {"down", 20, 30, 7, 11},          {"same size", 6, 7, 6, 7},
    {"one output pixel", 5, 4, 1, 1}, {"64x64 to a photo", 64, 64, 301, 407},
};

UpsampleMask problem(const Tensor& grid, UpsampleOf domain, bool align_corners, float threshold, int width, int height) {
  UpsampleMask op;
  op.logit = grid.view(), op.domain = domain, op.align_corners = align_corners, op.threshold = threshold;
  op.width = width, op.height = height;
  return op;
}

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

// The interpolated logit or probability, and how far rounding may take it: t twice (relative to the difference of the
// neighbours), then difference, product and sum along each axis.
Expected interpolated(const Tensor& grid, const UpsampleMask& op, int y, int x) {
  const Lerp ly = lerp_at(y, op.logit.shape.h, op.height, op.align_corners);
  const Lerp lx = lerp_at(x, op.logit.shape.w, op.width, op.align_corners);
  const bool of_logit = op.domain == UpsampleOf::kLogit;
  double magnitude = 0;
  const auto at = [&](int gy, int gx) {
    const double v = grid.at(0, gy, gx, 0), value = of_logit ? v : sigmoid(v);
    magnitude = std::max(magnitude, std::abs(value));
    return value;
  };
  const double tx = lx.t, ty = ly.t;
  const double top = (1 - tx) * at(ly.lo, lx.lo) + tx * at(ly.lo, lx.hi);
  const double bottom = (1 - tx) * at(ly.hi, lx.lo) + tx * at(ly.hi, lx.hi);
  return {(1 - ty) * top + ty * bottom, 14 * kEps * magnitude};
}

void check_values(const Tensor& grid, const UpsampleMask& op, const MaskOutputs& both) {
  Diff d;
  for (int y = 0; y < op.height; ++y) {
    for (int x = 0; x < op.width; ++x) {
      Expected e = interpolated(grid, op, y, x);
      if (op.domain == UpsampleOf::kLogit) {
        e.bound = e.bound / 4 + 1e-6, e.value = sigmoid(e.value);  // a sigmoid's slope is at most 1/4
      } else {
        e.bound += 1e-6;
      }
      d.add(both.p(y, x), e, 0, y, x, 0);
    }
  }
  CHECK_MESSAGE(static_cast<bool>(d), d);
}

TEST_CASE("upsample_mask matches the double-precision reference") {
  for (const Case& k : kCases) SUBCASE(k.name) {
      const Tensor grid = random_values({1, k.grid_h, k.grid_w, 1}, DType::kF32, 0, 40, 9);
      for (const UpsampleOf domain : {UpsampleOf::kLogit, UpsampleOf::kProbability}) {
        for (const bool align_corners : {true, false}) {
          for (const float threshold : {0.5f, 0.3f, 0.95f}) {
            for (const Backend& backend : backends()) {
              CAPTURE(static_cast<int>(domain));
              CAPTURE(align_corners);
              CAPTURE(threshold);
              CAPTURE(backend);
              const UpsampleMask op = problem(grid, domain, align_corners, threshold, k.width, k.height);
              if (!backend.takes(cost(op))) continue;
              MaskOutputs both(k.width, k.height);
              run_for_each_output(backend, op, both);
              check_values(grid, op, both);
            }
          }
        }
      }
    }
}

#if MFS_TEST_CUDA
TEST_CASE("upsample_mask adds a logit's parts up in their order") {
  Tensor parts = random_values({1, 5, 6, 3}, DType::kF32, 0, 41, 9);
  Tensor grid({1, 5, 6, 1}, DType::kF32);
  for (int i = 0; i < 5 * 6; ++i) {
    const float* const of_pixel = parts.floats() + std::ptrdiff_t{3} * i;
    grid.floats()[i] = of_pixel[0] + of_pixel[1] + of_pixel[2];
  }
  for (const UpsampleOf domain : {UpsampleOf::kLogit, UpsampleOf::kProbability}) {
    MaskOutputs whole(31, 17), in_parts(31, 17);
    whole.run_with(backends().front(), problem(grid, domain, true, 0.5f, 31, 17), true, true);
    in_parts.run_with(backends().front(), problem(parts, domain, true, 0.5f, 31, 17), true, true);
    for (int y = 0; y < 17; ++y)
      for (int x = 0; x < 31; ++x) {
        CHECK(in_parts.p(y, x) == whole.p(y, x));
        CHECK(in_parts.m(y, x) == whole.m(y, x));
      }
  }
}
#endif

TEST_CASE("the mask agrees with the probability where the logit grazes the threshold") {
  constexpr int kCount = 4001;
  for (const float threshold : {0.5f, 0.3f, 0.7f, 0.999f}) {
    Tensor grid({1, 1, kCount, 1}, DType::kF32);
    const double cut = std::log(double{threshold} / (1 - double{threshold}));
    for (int x = 0; x < kCount; ++x) grid.set(0, 0, x, 0, cut + (x - kCount / 2) * 1e-9 * std::max(1.0, 60 * std::abs(cut)));
    MaskOutputs both(kCount, 1);
    both.run_with(backends().front(), problem(grid, UpsampleOf::kLogit, true, threshold, kCount, 1), true, true);
    int wrong = 0;
    for (int x = 0; x < kCount; ++x) wrong += both.m(0, x) == (both.p(0, x) > threshold ? 255 : 0) ? 0 : 1;
    CHECK(wrong == 0);
    CHECK(both.m(0, 0) == 0);
    CHECK(both.m(0, kCount - 1) == 255);
  }
}

TEST_CASE("a NaN logit gives a NaN probability and no object") {
  const Tensor grid({1, 1, 1, 1}, DType::kF32);  // NaN until written
  MaskOutputs both(1, 1);
  both.run_with(backends().front(), problem(grid, UpsampleOf::kLogit, true, 0.5f, 1, 1), true, true);
  CHECK(std::isnan(both.p(0, 0)));
  CHECK(both.m(0, 0) == 0);
}

TEST_CASE("upsample_mask refuses what does not fit") {
  const Tensor grid({1, 2, 2, 1}, DType::kF32), two({2, 2, 2, 1}, DType::kF32);
  std::uint8_t mask[6];
  float probability[6];
  UpsampleMask good{grid.view(), UpsampleOf::kLogit, true, 0.5f, 3, 2, probability, 12, mask, 3, {}};
  CHECK(check(good));
  if (scratch_bytes(backends().front(), good) > 0) {
    CHECK(run(backends().front(), good).message().find("bytes of scratch") != std::string::npos);
  }
  const auto with = [&](const auto& change) {
    UpsampleMask op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([&](UpsampleMask& o) { o.logit = two.view(); }), "expected 1x2x2x1");
  MFS_CHECK_REFUSED(with([](UpsampleMask& o) { o.width = 0; }), "output is empty");
  check_outputs_refused(good);
#if !MFS_TEST_CUDA
  const Tensor parts({1, 2, 2, 3}, DType::kF32);
  CHECK(run(Cpu{}, with([&](UpsampleMask& o) { o.logit = parts.view(); })).message() ==
        "upsample_mask: the CPU engine's logit has no parts");
#endif
}

}  // namespace
}  // namespace mfs::core::test
