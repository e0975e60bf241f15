// The cost model's choice of a tile and a split for convolutions on tensor cores.
#include "kernels/cuda/conv_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>

namespace mfs::core {
namespace {

constexpr int kSmall = 100 << 10, kA100 = 164 << 10, kH100 = 228 << 10;  // bytes of shared memory of an SM

TEST_CASE("conv_plan: shared memory decides how many blocks an SM holds") {
  const auto [large, middle, small] = kConvTileModels;
  CHECK(blocks_per_sm(large, kA100) == 1);
  CHECK(blocks_per_sm(large, kH100) == 2);
  CHECK(blocks_per_sm(middle, kSmall) == 1);
  CHECK(blocks_per_sm(middle, kA100) == 2);
  CHECK(blocks_per_sm(small, kSmall) == 2);
  CHECK(blocks_per_sm(small, kH100) == 3);  // not 4: its registers
}

TEST_CASE("conv_plan: what does not fit is not proposed") {
  const auto plans = conv_plans({4096, 256, 36}, 108, 96 << 10);
  CHECK(std::ranges::none_of(plans, [](const ConvPlan& p) { return p.tile == 0; }));
}

TEST_CASE("conv_plan: every plan is complete, the best comes first") {
  for (const ConvSize& size : {ConvSize{4096, 256, 36}, ConvSize{36, 512, 36}, ConvSize{1, 1, 1}, ConvSize{1 << 20, 64, 9}}) {
    const auto plans = conv_plans(size, 132, kH100);
    CAPTURE(size.text());
    REQUIRE(plans.size() >= std::size(kConvTileModels));
    CHECK(std::ranges::is_sorted(plans, {}, &ConvPlan::cycles));
    for (const ConvPlan& plan : plans) {
      const int part = (size.steps + plan.splits - 1) / plan.splits;
      CHECK((plan.splits - 1) * part < size.steps);  // no part is empty
    }
  }
}

TEST_CASE("conv_plan: the choice for the network's shapes") {
  struct Case {
    ConvSize size;
    int multiprocessors, shared;
    const char* choice;
  };
  // Only the H100's have been measured.
  const Case cases[] = {
      {{4096, 256, 36}, 132, kH100, "mma 128x64, split 2"}, {{4096, 1024, 4}, 132, kH100, "mma 128x128"},
      {{4096, 512, 72}, 132, kH100, "mma 128x128"},         {{65536, 256, 36}, 132, kH100, "mma 128x128"},
      {{36, 512, 36}, 132, kH100, "mma 64x64, split 8"},    {{4096, 1024, 4}, 108, kA100, "mma 64x64"},
      {{65536, 256, 36}, 108, kA100, "mma 128x64"},         {{4096, 512, 72}, 108, kA100, "mma 128x64, split 3"},
      {{65536, 64, 9}, 132, kSmall, "mma 64x64"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.size.text());
    CAPTURE(c.multiprocessors);
    CHECK(conv_plans(c.size, c.multiprocessors, c.shared).front().text() == c.choice);
  }
}

}  // namespace
}  // namespace mfs::core
