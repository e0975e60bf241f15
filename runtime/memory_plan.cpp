#include "runtime/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace mfs::core {
namespace {

constexpr int kNever = -1;

struct Lifetime {
  int first = std::numeric_limits<int>::max(), last = kNever;
  void touch(int op) { first = std::min(first, op), last = std::max(last, op); }
  bool overlaps(const Lifetime& o) const { return first <= o.last && o.first <= last; }
};

// The input lives from before the first operation, the output until after the last.
std::vector<Lifetime> lifetimes(const Lowered& network) {
  std::vector<Lifetime> life(network.buffers.size());
  const auto at = [&](const Place& p) -> Lifetime& { return life[static_cast<std::size_t>(p.buffer)]; };
  at(network.input).touch(0);
  for (std::size_t i = 0; i < network.ops.size(); ++i) {
    const Access access = access_of(network.ops[i].step);
    for (const Place& p : access.reads) at(p).touch(static_cast<int>(i));
    for (const Place& p : access.writes) at(p).touch(static_cast<int>(i));
  }
  at(network.output).touch(static_cast<int>(network.ops.size()));
  return life;
}

struct Block {
  Lifetime life;
  std::size_t bytes;
  std::size_t* offset;
};

}  // namespace

void share_buffers_in_place(Lowered& network) {
  std::vector<int> owner(network.buffers.size());
  std::iota(owner.begin(), owner.end(), 0);
  const std::vector<Lifetime> life = lifetimes(network);
  const auto resolve = [&](Place& p) {
    if (p) p.buffer = owner[static_cast<std::size_t>(p.buffer)];
  };
  // The last reader of a buffer that earlier sharing merged is the last of any of its values.
  std::vector<int> last(network.buffers.size());
  for (std::size_t b = 0; b < last.size(); ++b) last[b] = life[b].last;

  const auto try_share = [&](const Place& input, Place& dst, int op) {
    if (!input || input.buffer == dst.buffer || input.buffer == network.input.buffer) return;
    const auto in = static_cast<std::size_t>(input.buffer), out = static_cast<std::size_t>(dst.buffer);
    const Buffer &a = network.buffers[in], &b = network.buffers[out];
    if (last[in] != op || a.shape != b.shape || a.dtype != b.dtype || life[out].first != op) return;
    owner[out] = input.buffer;
    last[in] = last[out];
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
          if constexpr (std::is_same_v<T, ConvStep>)  // what is convolved itself is read by more than its own pixel
            if (step.residual.buffer != step.src.buffer) try_share(step.residual, step.dst, static_cast<int>(i));
          if constexpr (std::is_same_v<T, SqueezeExciteStep>) try_share(step.src, step.dst, static_cast<int>(i));
        },
        network.ops[i].step);
  }
  resolve(network.output);
  for (auto& [name, place] : network.named) resolve(place);
}

MemoryPlan plan_memory(const Lowered& network, const std::vector<std::size_t>& scratch_bytes, bool keep_all) {
  MemoryPlan plan;
  plan.offsets.resize(network.buffers.size());
  plan.scratch.resize(network.ops.size());
  const int end = static_cast<int>(network.ops.size());
  std::vector<Block> blocks;
  const std::vector<Lifetime> life = lifetimes(network);
  for (std::size_t b = 0; b < network.buffers.size(); ++b) {
    if (life[b].last == kNever) continue;  // shares another's memory
    const Buffer& buffer = network.buffers[b];
    const std::size_t bytes = static_cast<std::size_t>(buffer.shape.elements()) * size_of(buffer.dtype);
    blocks.push_back({keep_all ? Lifetime{0, end} : life[b], bytes, &plan.offsets[b]});
  }
  for (std::size_t i = 0; i < network.ops.size(); ++i) {
    if (scratch_bytes[i] == 0) continue;
    blocks.push_back({{static_cast<int>(i), static_cast<int>(i)}, scratch_bytes[i], &plan.scratch[i]});
  }
  // Largest first, each at the lowest offset where no block of an overlapping life lies.
  std::ranges::stable_sort(blocks, std::ranges::greater{}, &Block::bytes);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (std::size_t j = 0; j < i; ++j)
      if (blocks[j].life.overlaps(blocks[i].life)) taken.emplace_back(*blocks[j].offset, *blocks[j].offset + blocks[j].bytes);
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
