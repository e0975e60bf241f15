// What fusion and the memory planner promise.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "layers/network.h"
#include "runtime/cpu_executor.h"
#include "runtime/lowered.h"
#include "runtime/memory_plan.h"
#include "tests/runtime/golden_network.h"

using namespace mfs::core;

namespace {

struct Region {
  std::size_t begin, end;
  int first, last;
};

// Buffers as bytes and lifetimes, worked out here independently of the planner.
std::vector<Region> regions(const Lowered& network, const MemoryPlan& plan) {
  std::vector<Region> all;
  for (std::size_t b = 0; b < network.buffers.size(); ++b) {
    Region r{plan.offsets[b], 0, 1 << 30, -1};
    r.end = r.begin + static_cast<std::size_t>(network.buffers[b].shape.elements()) * size_of(network.buffers[b].dtype);
    const auto touch = [&](const Place& p, int op) {
      if (p && static_cast<std::size_t>(p.buffer) == b) r.first = std::min(r.first, op), r.last = std::max(r.last, op);
    };
    touch(network.input, -1);
    touch(network.output, static_cast<int>(network.ops.size()));
    for (std::size_t i = 0; i < network.ops.size(); ++i) {
      const Access access = access_of(network.ops[i].step);
      for (const Place& p : access.reads) touch(p, static_cast<int>(i));
      for (const Place& p : access.writes) touch(p, static_cast<int>(i));
    }
    if (r.last >= 0) all.push_back(r);
  }
  return all;
}

Lowered lowered(const std::string& name, DType dtype = DType::kF32) {
  const test::GoldenNetwork golden(name);
  return lower(build_network(*WeightsFile::open(golden.weights_path), 64, 64), {.dtype = dtype});
}

}  // namespace

TEST_CASE("no two live buffers share memory") {
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    Lowered network = lowered(name);
    share_buffers_in_place(network, StreamOrder(network.ops.size()));
    const std::vector<std::size_t> scratch(network.ops.size(), 4096);
    const MemoryPlan plan = plan_memory(network, scratch, Keep::kOutput, StreamOrder(network.ops.size()));
    std::vector<Region> all = regions(network, plan);
    for (std::size_t i = 0; i < network.ops.size(); ++i)
      all.push_back({plan.scratch[i], plan.scratch[i] + scratch[i], static_cast<int>(i), static_cast<int>(i)});
    for (std::size_t a = 0; a < all.size(); ++a) {
      CHECK(all[a].begin % kArenaAlignment == 0);
      CHECK(all[a].end <= plan.bytes);
      for (std::size_t b = 0; b < a; ++b) {
        const bool alive_together = all[a].first <= all[b].last && all[b].first <= all[a].last;
        const bool overlap = all[a].begin < all[b].end && all[b].begin < all[a].end;
        CHECK_FALSE((alive_together && overlap));
      }
    }
  }
}

TEST_CASE("an input that is kept shares memory with nothing") {
  Lowered network = lowered("multi");
  const StreamOrder order(network.ops.size());
  share_buffers_in_place(network, order);
  const std::vector<std::size_t> scratch(network.ops.size(), 4096);
  const auto bytes = [&](const Buffer& b) { return static_cast<std::size_t>(b.shape.elements()) * size_of(b.dtype); };
  const auto input = static_cast<std::size_t>(network.input.buffer);
  std::vector<bool> used(network.buffers.size());
  for (const LoweredOp& op : network.ops)
    for (const Place& p : access_of(op.step).writes) used[static_cast<std::size_t>(p.buffer)] = true;
  const auto sharing = [&](Keep keep) {
    const MemoryPlan plan = plan_memory(network, scratch, keep, order);
    const std::size_t begin = plan.offsets[input], end = begin + bytes(network.buffers[input]);
    int count = 0;
    for (std::size_t b = 0; b < network.buffers.size(); ++b)
      count += used[b] && plan.offsets[b] < end && begin < plan.offsets[b] + bytes(network.buffers[b]);
    return count;
  };
  CHECK(sharing(Keep::kOutput) > 0);
  CHECK(sharing(Keep::kInput) == 0);
}

TEST_CASE("every value is written before it is read") {
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    Lowered network = lowered(name);
    share_buffers_in_place(network, StreamOrder(network.ops.size()));
    std::vector<bool> written(network.buffers.size());
    written[static_cast<std::size_t>(network.input.buffer)] = true;
    for (const LoweredOp& op : network.ops) {
      CAPTURE(op.name);
      const Access access = access_of(op.step);
      for (const Place& p : access.reads) CHECK(written[static_cast<std::size_t>(p.buffer)]);
      for (const Place& p : access.writes) written[static_cast<std::size_t>(p.buffer)] = true;
    }
    CHECK(written[static_cast<std::size_t>(network.output.buffer)]);
  }
}

TEST_CASE("fusion leaves no concat, no upsampled prior and one stem") {
  const Lowered network = lowered("multi");
  int input_readers = 0, widest = 0;
  for (const LoweredOp& op : network.ops)
    for (const Place& p : access_of(op.step).reads) input_readers += p.buffer == network.input.buffer;
  for (const Buffer& b : network.buffers)
    if (b.shape.h > 6) widest = std::max(widest, b.shape.c);
  CHECK(input_readers == 1);  // conv1 and init.0 together
  CHECK(widest == 1024);      // layer3; the concat with the fusion branch would be 1088, the PSP's 2176
  for (const LoweredOp& op : network.ops) CHECK_FALSE(std::holds_alternative<ResizeStep>(op.step));
}

TEST_CASE("the head's sources are one convolution where a convolution can have two, else two that add up") {
  const test::GoldenNetwork golden("multi");
  const Graph graph = build_network(*WeightsFile::open(golden.weights_path), 64, 64);
  for (const bool join : {false, true}) {
    CAPTURE(join);
    const Lowered network = lower(graph, {.dtype = DType::kF16, .join_sources = join});
    std::vector<ConvStep> convs;
    for (const LoweredOp& op : network.ops)
      if (op.name.starts_with("layer5.bottleneck.0") && op.name.find("prior") == op.name.npos)
        convs.push_back(std::get<ConvStep>(op.step));
    REQUIRE(convs.size() == (join ? 1 : 2));
    CHECK(convs[0].src.shape.c == 1024);
    CHECK(convs[0].filters[0].shift);
    const Place& second = join ? convs[0].joined : convs[1].src;
    const Filters& filters = join ? convs[0].joined_filters : convs[1].filters[0];
    CHECK(second.shape.c == 64);
    CHECK(filters.first_in == convs[0].filters[0].first_in + 1024);
    CHECK(filters.in == 64);
    CHECK_FALSE(filters.shift);
    CHECK_FALSE(convs[0].residual);
    if (!join) CHECK(convs[1].residual.buffer == convs[0].dst.buffer);
  }
}

TEST_CASE("a VGG network is convolutions, pools and two transposed convolutions that add the scores") {
  const Lowered network = lowered("vgg_early", DType::kBF16);
  int convs = 0, without_relu = 0, pools = 0, enlarged = 0;
  for (const LoweredOp& op : network.ops) {
    CAPTURE(op.name);
    if (const auto* conv = std::get_if<ConvStep>(&op.step)) ++convs, without_relu += !conv->relu;
    pools += std::holds_alternative<MaxPoolStep>(op.step);
    const auto* up = std::get_if<TransposedConvStep>(&op.step);
    enlarged += up && up->residual;
  }
  CHECK(network.ops.size() == 25);
  CHECK(convs == 18);
  CHECK(without_relu == 3);  // the scores
  CHECK(pools == 5);
  CHECK(enlarged == 2);
  CHECK(network.buffers[static_cast<std::size_t>(network.output.buffer)].dtype == DType::kF32);
}

TEST_CASE("residuals are added in place") {
  Lowered network = lowered("multi");
  share_buffers_in_place(network, StreamOrder(network.ops.size()));
  for (const LoweredOp& op : network.ops)
    if (const auto* conv = std::get_if<ConvStep>(&op.step); conv && conv->residual) {
      CAPTURE(op.name);
      CHECK(conv->dst.buffer == conv->residual.buffer);
    }
}

TEST_CASE("reusing memory changes no bit") {
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    const test::GoldenNetwork golden(name);
    const auto file = WeightsFile::open(golden.weights_path);
    PackCache packs;
    std::vector<std::vector<float>> results;
    for (const bool keep : {false, true}) {
      CpuExecutor executor(*file, packs, {64, 64, DType::kF32, 2, keep});
      std::vector<float> probability(golden.pixels.size() / 3);
      for (int repeat = 0; repeat < 2; ++repeat) {
        REQUIRE(executor.run({.image = golden.photo(),
                              .taps = golden.taps,
                              .probability = probability.data(),
                              .probability_stride = std::int64_t{golden.width} * 4}));
        results.push_back(probability);
      }
    }
    for (const auto& r : results) CHECK(std::memcmp(r.data(), results[0].data(), r.size() * sizeof(float)) == 0);
  }
}
