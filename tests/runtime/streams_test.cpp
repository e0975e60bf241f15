// Two streams: which steps run beside which, and that steps that may run at the same time do not meet in memory.
#include "runtime/streams.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>

#include "layers/network.h"
#include "runtime/conv_groups.h"
#include "runtime/memory_plan.h"
#include "tests/runtime/golden_network.h"

using namespace mfs::core;

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// What comes before each step, from the two streams and the waits alone; last, what comes before the end.
std::vector<std::set<int>> ancestors(const StreamOrder& order) {
  std::vector<std::set<int>> all;
  int last[] = {StreamOrder::kNothing, StreamOrder::kNothing};
  for (int i = 0; i <= order.end(); ++i) {
    std::set<int> mine;
    for (const int parent : {last[order.stream(i)], order.awaits(i)}) {
      if (parent < 0) continue;
      mine.insert(parent);
      mine.insert(all[index(parent)].begin(), all[index(parent)].end());
    }
    all.push_back(mine);
    last[order.stream(i)] = i;
  }
  return all;
}

enum class Prefer { kFirst, kSecond, kAny };

// An order in which a GPU may run the steps.
std::vector<int> sequence(const StreamOrder& order, Prefer prefer, std::mt19937& random) {
  std::vector<int> waiting[2], done;
  for (int i = order.end() - 1; i >= 0; --i) waiting[order.stream(i)].push_back(i);
  const auto ready = [&](int stream) {
    if (waiting[stream].empty()) return false;
    const int awaited = order.awaits(waiting[stream].back());
    return awaited < 0 || std::ranges::count(done, awaited) > 0;
  };
  while (done.size() < index(order.end())) {
    int stream = prefer == Prefer::kAny ? static_cast<int>(random() % 2) : prefer == Prefer::kSecond;
    if (!ready(stream)) stream = 1 - stream;
    REQUIRE(ready(stream));
    done.push_back(waiting[stream].back());
    waiting[stream].pop_back();
  }
  return done;
}

struct Planned {
  Lowered network;
  std::vector<std::size_t> scratch;  // bytes of every step
  MemoryPlan memory;
};

Planned planned(Lowered network, const std::vector<std::size_t>& scratch, const StreamOrder& order) {
  share_buffers_in_place(network, order);
  MemoryPlan memory = plan_memory(network, scratch, Keep::kOutput, order);
  return {std::move(network), scratch, std::move(memory)};
}

// Part of the arena: channels of a buffer or, without one, scratch.
struct Region {
  std::size_t begin, end;
  Place place;
};

bool meet(const Region& a, const Region& b) {
  if (!a.place || a.place.buffer != b.place.buffer) return a.begin < b.end && b.begin < a.end;
  return a.place.first_channel < b.place.first_channel + b.place.shape.c &&
         b.place.first_channel < a.place.first_channel + a.place.shape.c;
}

struct Regions {
  std::vector<Region> reads, writes;
};

Regions regions(const Planned& p, int step) {
  const auto region = [&](const Place& place) {
    const Buffer& buffer = p.network.buffers[index(place.buffer)];
    const std::size_t begin = p.memory.offsets[index(place.buffer)];
    return Region{begin, begin + static_cast<std::size_t>(buffer.shape.elements()) * size_of(buffer.dtype), place};
  };
  Regions r;
  const Access access = access_of(p.network.ops[index(step)].step);
  for (const Place& place : access.reads) r.reads.push_back(region(place));
  for (const Place& place : access.writes) r.writes.push_back(region(place));
  const std::size_t begin = p.memory.scratch[index(step)], bytes = p.scratch[index(step)];
  if (bytes > 0) r.writes.push_back({begin, begin + bytes, {}});
  return r;
}

bool meet(const std::vector<Region>& some, const std::vector<Region>& others) {
  return std::ranges::any_of(
      some, [&](const Region& a) { return std::ranges::any_of(others, [&](const Region& b) { return meet(a, b); }); });
}

// Calls `visit` with every 2 bytes of the arena that the place lies in.
template <typename Visit>
void for_halves(const Planned& p, const Place& place, const Visit& visit) {
  const Buffer& buffer = p.network.buffers[index(place.buffer)];
  const std::size_t size = size_of(buffer.dtype) / 2, pitch = index(buffer.shape.c) * size;
  std::size_t pixel = p.memory.offsets[index(place.buffer)] / 2 + index(place.first_channel) * size;
  for (std::int64_t i = 0; i < place.shape.pixels(); ++i, pixel += pitch)
    for (std::size_t c = 0; c < index(place.shape.c) * size; ++c) visit(pixel + c);
}

// A hash of what each step finds where it reads, in terms of which steps wrote that; last, of the output.
std::vector<std::uint64_t> values_found(const Planned& p, const std::vector<int>& steps) {
  constexpr int kNoise = -9;
  std::vector<int> writers(p.memory.bytes / 2 + 1, kNoise);
  std::vector<std::uint64_t> found(p.network.ops.size() + 1);
  const auto read = [&](std::uint64_t& hash, const Place& place) {
    for_halves(p, place,
               [&](std::size_t at) { hash = (hash + static_cast<std::uint64_t>(writers[at] + 10)) * 0x100000001B3u; });
  };
  for_halves(p, p.network.input, [&](std::size_t at) { writers[at] = StreamOrder::kStart; });
  for (const int i : steps) {
    const Access access = access_of(p.network.ops[index(i)].step);
    for (const Place& place : access.reads) read(found[index(i)], place);
    for (std::size_t at = 0; at < p.scratch[index(i)] / 2; ++at) writers[p.memory.scratch[index(i)] / 2 + at] = kNoise;
    for (const Place& place : access.writes) for_halves(p, place, [&](std::size_t at) { writers[at] = i; });
  }
  read(found.back(), p.network.output);
  return found;
}

// The whole contract of an order and a plan that was made with it.
void check_plan(const Lowered& network, const std::vector<std::size_t>& scratch, const StreamOrder& order,
                std::mt19937& random) {
  const int steps = order.end();
  REQUIRE(index(steps) == network.ops.size());
  const std::vector<std::set<int>> before = ancestors(order);
  std::vector<Access> access;
  for (const LoweredOp& op : network.ops) access.push_back(access_of(op.step));
  int broken = 0;
  for (int b = 0; b <= steps; ++b) {
    broken += !order.before(StreamOrder::kStart, b);
    for (int a = 0; a <= steps; ++a) broken += order.before(a, b) != before[index(b)].contains(a);
    for (int a = 0; a < b; ++a)
      broken += (b == steps || !independent(access[index(a)], access[index(b)])) && !order.before(a, b);
  }
  CHECK(broken == 0);

  const Planned p = planned(network, scratch, order);
  int meetings = 0;
  for (int b = 0; b < steps; ++b) {
    const Regions of_b = regions(p, b);
    for (int a = 0; a < b; ++a) {
      if (order.before(a, b)) continue;
      const Regions of_a = regions(p, a);
      meetings += meet(of_a.writes, of_b.writes) || meet(of_a.writes, of_b.reads) || meet(of_a.reads, of_b.writes);
    }
  }
  CHECK(meetings == 0);

  const StreamOrder one(network.ops.size());
  const std::vector<std::size_t> none(network.ops.size());
  const std::vector<std::uint64_t> expected =
      values_found({network, none, plan_memory(network, none, Keep::kAll, one)}, sequence(one, Prefer::kFirst, random));
  CHECK(values_found(p, sequence(one, Prefer::kFirst, random)) == expected);
  for (const Prefer prefer : {Prefer::kFirst, Prefer::kSecond, Prefer::kAny})
    CHECK(values_found(p, sequence(order, prefer, random)) == expected);
}

// Steps over small maps of two widths: values read once or often, added, gated, joined, written twice, made in halves by two
// steps, changed in place.
Lowered random_network(std::mt19937& random) {
  const auto below = [&](std::size_t n) { return static_cast<int>(random() % n); };
  Lowered network;
  std::vector<Place> values;
  const auto make = [&](int channels) {
    network.buffers.push_back({{1, 1, 33, channels}, DType::kF16});
    return Place{static_cast<int>(network.buffers.size()) - 1, 0, network.buffers.back().shape};
  };
  const auto any = [&] { return values[values.size() - 1 - index(below(std::min<std::size_t>(values.size(), 6)))]; };
  const auto emit = [&](AnyStep step, const Place& dst) {
    network.ops.push_back({std::to_string(network.ops.size()), std::move(step)});
    values.push_back(dst);
  };
  network.input = make(8);
  values.push_back(network.input);
  const int steps = 8 + below(25);
  for (int i = 0; i < steps; ++i) {
    const Place from = any(), other = any();
    switch (below(6)) {
      case 0: {
        const Place dst = make(4 + 4 * below(2));
        emit(MaxPoolStep{from, dst, {}}, dst);
        break;
      }
      case 1: {
        ConvStep conv;
        conv.src = from, conv.residual = other, conv.dst = make(network.buffers[index(other.buffer)].shape.c);
        conv.dst.shape = other.shape, conv.dst.first_channel = other.first_channel;
        if (below(2)) conv.joined = any();
        if (below(3) == 0) values.push_back(conv.copy = make(8));
        emit(conv, conv.dst);
        break;
      }
      case 2: {
        Place dst = make(network.buffers[index(from.buffer)].shape.c);
        dst.shape = from.shape, dst.first_channel = from.first_channel;
        SqueezeExciteStep gate;
        gate.src = from, gate.dst = dst;
        if (below(2)) gate.residual = other;
        if (below(2)) {
          ConvStep conv;
          conv.src = any(), conv.sums = make(8);
          emit(ConvGateStep{conv, gate}, dst);
          break;
        }
        emit(gate, dst);
        break;
      }
      case 3: {
        const Place whole = make(8);
        ConvStep half;
        for (const int first : {0, 4}) {
          half.src = any(), half.residual = any(), half.dst = whole;
          half.dst.first_channel = first, half.dst.shape.c = half.residual.shape.c = 4;
          emit(half, half.dst);
        }
        values.push_back(whole);
        break;
      }
      case 4: {
        if (other.buffer == network.input.buffer || other.buffer == from.buffer) break;
        ConvStep conv;
        conv.src = from, conv.residual = conv.dst = other;
        emit(conv, other);
        break;
      }
      case 5: {
        const Place dst = make(8);
        PyramidHeadStep head;
        head.features = from, head.priors = {other, any(), any()}, head.dst = dst;
        ConvStep conv;
        conv.src = any(), conv.joined = any();
        if (below(2)) {
          emit(head, dst);
        } else {
          emit(ConvHeadStep{conv, head}, dst);
        }
        break;
      }
    }
  }
  network.output = values.back();
  return network;
}

Lowered golden_network(const std::string& name) {
  const test::GoldenNetwork golden(name);
  const auto file = WeightsFile::open(golden.weights_path);
  Lowered network = lower(build_network(*file, 64, 64), {.dtype = DType::kF16, .join_sources = true});
  group_convs(network);
  return network;
}

}  // namespace

TEST_CASE("any two streams: steps that may run at the same time do not meet in memory, and all find what they need") {
  std::mt19937 random(7);
  long beside = 0, shared = 0;
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    const Lowered network = random_network(random);
    std::vector<int> streams = side_branches(network);
    if (round % 2) {  // in runs, from one step to many
      int now = 0;
      for (int& s : streams) s = now = random() % (1 + index(round % 7)) ? now : static_cast<int>(random() % 2);
    }
    std::vector<std::size_t> scratch(network.ops.size());
    for (std::size_t& bytes : scratch) bytes = random() % 3 ? 0 : 2 * (random() % 500);
    const StreamOrder order(network, streams);
    check_plan(network, scratch, order, random);
    for (int b = 0; b < order.end(); ++b)
      for (int a = 0; a < b; ++a) beside += !order.before(a, b);
    Lowered in_place = network;
    share_buffers_in_place(in_place, order);
    for (std::size_t i = 0; i < network.ops.size(); ++i)
      shared += access_of(network.ops[i].step).writes[0].buffer != access_of(in_place.ops[i].step).writes[0].buffer;
  }
  CHECK(beside > 5000);
  CHECK(shared > 100);
}

TEST_CASE("steps are independent when neither writes what the other one touches, channel by channel") {
  const auto part = [](int buffer, int first, int channels) {
    return std::vector<Place>{{buffer, first, {1, 1, 1, channels}}};
  };
  const Access step{part(0, 8, 8), part(1, 8, 8)};
  CHECK(independent(step, {part(0, 8, 8), part(2, 0, 8)}));
  CHECK(independent(step, {part(1, 0, 8), part(0, 16, 8)}));
  CHECK_FALSE(independent(step, {part(1, 15, 8), part(2, 0, 8)}));
  CHECK_FALSE(independent(step, {part(2, 0, 8), part(1, 0, 9)}));
  CHECK_FALSE(independent(step, {part(2, 0, 8), part(0, 0, 32)}));
}

TEST_CASE("one stream: every step comes after the one before, and nothing waits") {
  const StreamOrder order(3);
  for (int b = 0; b <= 3; ++b) {
    CHECK(order.stream(b) == 0);
    CHECK(order.awaits(b) == StreamOrder::kNothing);
    for (int a = StreamOrder::kStart; a <= 3; ++a) CHECK(order.before(a, b) == (a < b));
  }
}

TEST_CASE("a stream that needs nothing of the other still begins and ends inside it") {
  Lowered network;
  network.buffers.resize(4, {{1, 1, 1, 8}, DType::kF16});
  const auto place = [](int buffer) { return Place{buffer, 0, {1, 1, 1, 8}}; };
  network.input = place(0), network.output = place(2);
  network.ops = {{"b", MaxPoolStep{place(0), place(1), {}}},
                 {"a", MaxPoolStep{place(0), place(2), {}}},
                 {"c", MaxPoolStep{place(1), place(3), {}}}};
  const StreamOrder order(network, {1, 0, 1});
  CHECK(order.awaits(0) == StreamOrder::kStart);
  CHECK(order.awaits(1) == StreamOrder::kNothing);
  CHECK(order.awaits(2) == StreamOrder::kNothing);
  CHECK(order.awaits(order.end()) == 2);
  CHECK(side_branches(network) == std::vector<int>{0, 1, 0});
}

TEST_CASE("the fusion branch runs beside the backbone") {
  const Lowered network = golden_network("multi");
  const StreamOrder order(network, side_branches(network));
  int waits = 0;
  for (int i = 0; i <= order.end(); ++i) waits += order.awaits(i) != StreamOrder::kNothing;
  CHECK(waits == 4);  // init for the stem, head for the pooled fusion, its convolution for layer4, the last step for that
  for (int i = 0; i < order.end(); ++i) {
    const std::string& name = network.ops[index(i)].name;
    CAPTURE(name);
    if (name.starts_with("fusion.")) CHECK(order.stream(i) == 1);
    if (name.starts_with("layer1.") || name.starts_with("layer2.") || name.starts_with("layer3.") ||
        name.starts_with("layer4."))
      CHECK(order.stream(i) == 0);
  }
}

TEST_CASE("golden networks on two streams") {
  std::mt19937 random(3);
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    const Lowered network = golden_network(name);
    check_plan(network, std::vector<std::size_t>(network.ops.size(), 4096), StreamOrder(network, side_branches(network)),
               random);
  }
}
