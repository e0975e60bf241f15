// The Hopper family's cost model: room for clusters, and what was measured.
#include "kernels/cuda/conv_hopper_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "kernels/cuda/conv_hopper_table.h"
#include "tests/support/backends.h"

namespace mfs::core::test {
namespace {

// layer4's 3x3 convolution at 512 x 512: 128 tiles of 128 pixels by 128 channels.
constexpr Conv kLayer4{
    .src = {1, 64, 64, 512}, .dst = {1, 64, 64, 512}, .kernel = 3, .dilation = 4, .pad = 4, .dtype = DType::kF16, .relu = true};

TEST_CASE("conv_hopper_plan: a cluster without room costs a round of its own") {
  const auto cycles = [](const HopperRoom& room) {
    const auto plans = hopper_plans(kLayer4, room);
    const auto fours = std::ranges::find(plans, std::string("hopper 128x128 s6, cluster 1x4"), &HopperPlan::text);
    REQUIRE(fours != plans.end());
    return fours->cycles;
  };
  CHECK(cycles({132, 66, 31}) > 1.4 * cycles({132, 66, 32}));  // 32 clusters
  CHECK(cycles({132, 66, 33}) == cycles({132, 66, 32}));
  CHECK(hopper_plans(kLayer4, {132, 66, 31}).front().cluster_blocks() == 2);
}

TEST_CASE("conv_hopper_plan: all fits somehow, however little room there is") {
  for (const int multiprocessors : {0, 1, 3}) {
    const auto plans = hopper_plans(kLayer4, undivided_room(multiprocessors));
    REQUIRE(!plans.empty());
    CHECK(plans.front().cycles > 0);
  }
}

TEST_CASE("conv_hopper_plan: the device's room is not more than its SMs'") {
  Cuda cuda = backends().front().device;
  for (const int multiprocessors : {1, 20}) {
    cuda.multiprocessors = multiprocessors;
    const HopperRoom room = hopper_room(cuda), undivided = undivided_room(multiprocessors);
    CHECK(room.ones == multiprocessors);
    for (const int blocks : {2, 4}) {
      CHECK(room.clusters(blocks) >= multiprocessors / 20);
      CHECK(room.clusters(blocks) <= undivided.clusters(blocks));
    }
  }
}

TEST_CASE("conv_hopper_plan: every entry of the built-in table names a kernel that there is") {
  for (const HopperTuned& entry : kHopperTable.entries) {
    CHECK(tuned_problem(entry.problem) == entry.problem);
    if (!entry.portable()) CHECK(entry.chosen_of(hopper_plans(entry.problem, undivided_room(kHopperTable.multiprocessors))));
  }
}

}  // namespace
}  // namespace mfs::core::test
