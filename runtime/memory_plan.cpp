#include "runtime/memory_plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mfs::core {
namespace {

using Users = std::vector<int>;  // steps, StreamOrder::kStart or end()

// The input is there from the beginning, the output until after the last operation.
std::vector<Users> users_of_buffers(const Lowered& network) {
  std::vector<Users> users(network.buffers.size());
  const auto at = [&](const Place& p) -> Users& { return users[static_cast<std::size_t>(p.buffer)]; };
  at(network.input).push_back(StreamOrder::kStart);
  for (std::size_t i = 0; i < network.ops.size(); ++i) {
    const Access access = access_of(network.ops[i].step);
    for (const Place& p : access.reads) at(p).push_back(static_cast<int>(i));
    for (const Place& p : access.writes) at(p).push_back(static_cast<int>(i));
  }
  at(network.output).push_back(static_cast<int>(network.ops.size()));
  return users;
}

bool all_before(const Users& earlier, const Users& later, const StreamOrder& order) {
  return std::ranges::all_of(earlier,
                             [&](int a) { return std::ranges::all_of(later, [&](int b) { return order.before(a, b); }); });
}

struct Block {
  Users users;
  std::size_t bytes;
  std::size_t* offset;
};

}  // namespace

void share_buffers_in_place(Lowered& network, const StreamOrder& order) {
  std::vector<int> owner(network.buffers.size());
  std::iota(owner.begin(), owner.end(), 0);
  std::vector<Users> users = users_of_buffers(network);
  const auto resolve = [&](Place& p) {
    if (p) p.buffer = owner[static_cast<std::size_t>(p.buffer)];
  };
  const auto try_share = [&](const Place& input, Place& dst, int op) {
    if (!input || input.buffer == dst.buffer || input.buffer == network.input.buffer) return;
    const auto in = static_cast<std::size_t>(input.buffer), out = static_cast<std::size_t>(dst.buffer);
    const Buffer &a = network.buffers[in], &b = network.buffers[out];
    const auto earlier = [&](int user) { return user == op || order.before(user, op); };
    const auto later = [&](int user) { return user == op || order.before(op, user); };
    if (a.shape != b.shape || a.dtype != b.dtype || !std::ranges::all_of(users[in], earlier) ||
        !std::ranges::all_of(users[out], later))
      return;
    owner[out] = input.buffer;
    users[in].insert(users[in].end(), users[out].begin(), users[out].end());  // of any of its values
    dst.buffer = input.buffer;
  };
  for (std::size_t i = 0; i < network.ops.size(); ++i) {
    std::visit(
        [&](auto& step) {
          using T = std::decay_t<decltype(step)>;
          if constexpr (requires { step.src; }) resolve(step.src);
          if constexpr (requires { step.residual; }) resolve(step.residual);
          if constexpr (requires { step.joined; }) resolve(step.joined);
          if constexpr (requires { step.features; }) resolve(step.features);
          if constexpr (requires { step.dst; }) resolve(step.dst);
          if constexpr (requires { step.copy; }) resolve(step.copy);
          if constexpr (requires { step.convs; })
            for (ConvStep& conv : step.convs)
              for (Place* p : {&conv.src, &conv.residual, &conv.joined, &conv.dst}) resolve(*p);
          if constexpr (requires { step.pooled; }) std::ranges::for_each(step.pooled, resolve);
          if constexpr (requires { step.grids; }) std::ranges::for_each(step.grids, resolve);
          if constexpr (requires { step.priors; }) std::ranges::for_each(step.priors, resolve);
          if constexpr (std::is_same_v<T, ConvHeadStep>) {
            for (Place* p : {&step.conv.src, &step.conv.joined, &step.head.dst}) resolve(*p);
            std::ranges::for_each(step.head.priors, resolve);
          }
          if constexpr (std::is_same_v<T, ConvGateStep>) {
            for (Place* p : {&step.conv.src, &step.conv.joined, &step.gate.residual, &step.gate.dst}) resolve(*p);
            try_share(step.gate.residual, step.gate.dst,
                      static_cast<int>(i));  // all of src is read before any of dst is written
          }
          if constexpr (std::is_same_v<T, ConvStep>)  // what is convolved itself is read by more than its own pixel
            if (step.residual.buffer != step.src.buffer) try_share(step.residual, step.dst, static_cast<int>(i));
          if constexpr (std::is_same_v<T, SqueezeExciteStep>) try_share(step.src, step.dst, static_cast<int>(i));
        },
        network.ops[i].step);
  }
  resolve(network.output);
  for (auto& [name, place] : network.named) resolve(place);
}

MemoryPlan plan_memory(const Lowered& network, const std::vector<std::size_t>& scratch_bytes, Keep keep,
                       const StreamOrder& order) {
  MemoryPlan plan;
  plan.offsets.resize(network.buffers.size());
  plan.scratch.resize(network.ops.size());
  std::vector<Block> blocks;
  std::vector<Users> users = users_of_buffers(network);
  if (keep == Keep::kInput) users[static_cast<std::size_t>(network.input.buffer)].push_back(order.end());
  for (std::size_t b = 0; b < network.buffers.size(); ++b) {
    if (users[b].empty()) continue;  // shares another's memory
    const Buffer& buffer = network.buffers[b];
    const std::size_t bytes = static_cast<std::size_t>(buffer.shape.elements()) * size_of(buffer.dtype);
    if (keep == Keep::kAll) users[b] = {StreamOrder::kStart, order.end()};
    blocks.push_back({std::move(users[b]), bytes, &plan.offsets[b]});
  }
  for (std::size_t i = 0; i < network.ops.size(); ++i)
    if (scratch_bytes[i] != 0) blocks.push_back({{static_cast<int>(i)}, scratch_bytes[i], &plan.scratch[i]});
  // Largest first, each at the lowest offset where no block lies that may be in use at the same time.
  std::ranges::stable_sort(blocks, std::ranges::greater{}, &Block::bytes);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (std::size_t j = 0; j < i; ++j)
      if (!all_before(blocks[j].users, blocks[i].users, order) && !all_before(blocks[i].users, blocks[j].users, order))
        taken.emplace_back(*blocks[j].offset, *blocks[j].offset + blocks[j].bytes);
    std::ranges::sort(taken);
    std::size_t offset = 0;
    for (const auto& [from, to] : taken) {
      if (offset + blocks[i].bytes <= from) break;
      offset = std::max(offset, (to + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment);
    }
    *blocks[i].offset = offset;
    plan.bytes = std::max(plan.bytes, offset + blocks[i].bytes);
  }
  return plan;
}

}  // namespace mfs::core
