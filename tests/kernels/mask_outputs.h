// What the tests of all operations share that write a photo's probability and mask.
#pragma once

#include <cmath>

#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {

// Outputs of a call, rows with gaps, guarded.
struct MaskOutputs {
  int width, height;
  GuardedBytes probability, mask;
  std::int64_t probability_stride, mask_stride;

  MaskOutputs(int w, int h)
      : width(w),
        height(h),
        probability(static_cast<std::size_t>(h) * (w + 3) * 4),
        mask(static_cast<std::size_t>(h) * (w + 5)),
        probability_stride((w + 3) * 4),
        mask_stride(w + 5) {}
  float p(int y, int x) const { return reinterpret_cast<const float*>(probability.data() + y * probability_stride)[x]; }
  int m(int y, int x) const { return static_cast<int>(mask.data()[y * mask_stride + x]); }

  template <typename Operation>
  void run_with(const Backend& backend, Operation op, bool want_probability, bool want_mask) {
    if (want_probability) op.probability = reinterpret_cast<float*>(probability.data());
    if (want_mask) op.mask = reinterpret_cast<std::uint8_t*>(mask.data());
    op.probability_stride = probability_stride, op.mask_stride = mask_stride;
    GuardedBytes scratch(scratch_bytes(backend, op));
    op.scratch = scratch.span();
    MFS_REQUIRE_OK(run(backend, op));
    for (const GuardedBytes* bytes : {&scratch, &probability, &mask}) CHECK(bytes->canaries_intact());
  }
};

// Runs `op` into `both`: the mask is the probability above the threshold, gaps are left alone, and neither output depends on
// the other one being asked for.
template <typename Operation>
void run_for_each_output(const Backend& backend, const Operation& op, MaskOutputs& both) {
  MaskOutputs probability(both.width, both.height), mask(both.width, both.height);
  both.run_with(backend, op, true, true);
  probability.run_with(backend, op, true, false);
  mask.run_with(backend, op, false, true);
  int wrong_masks = 0, gaps_touched = 0, differences = 0;
  for (int y = 0; y < both.height; ++y) {
    for (int x = 0; x < both.width; ++x) {
      wrong_masks += both.m(y, x) == (both.p(y, x) > op.threshold ? 255 : 0) ? 0 : 1;
      differences += (probability.p(y, x) == both.p(y, x) ? 0 : 1) + (mask.m(y, x) == both.m(y, x) ? 0 : 1);
    }
    for (int x = both.width; x < both.width + 3; ++x) gaps_touched += std::isnan(both.p(y, x)) ? 0 : 1;
    for (int x = both.width; x < both.width + 5; ++x) gaps_touched += both.m(y, x) == 255 ? 0 : 1;
  }
  CHECK(wrong_masks == 0);
  CHECK(gaps_touched == 0);
  CHECK(differences == 0);
}

// `good`: 3 pixels wide, with both outputs.
template <typename Operation>
void check_outputs_refused(const Operation& good) {
  const auto with = [&](const auto& change) {
    Operation op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([](Operation& o) { o.threshold = 1; }), "threshold");
  MFS_CHECK_REFUSED(with([](Operation& o) { o.threshold = std::nanf(""); }), "threshold");
  MFS_CHECK_REFUSED(with([](Operation& o) { o.mask = nullptr, o.probability = nullptr; }), "neither");
  MFS_CHECK_REFUSED(with([](Operation& o) { o.probability_stride = 8; }), "probability row stride");
  MFS_CHECK_REFUSED(with([](Operation& o) { o.mask_stride = 2; }), "mask row stride");
}

}  // namespace mfs::core::test
