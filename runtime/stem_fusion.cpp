#include "runtime/stem_fusion.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace mfs::core {
namespace {

constexpr Window kStemWindow{.kernel = 7, .stride = 2, .pad = 3};

std::optional<int> pool_of(const Window& w) {
  if (w == Window{.kernel = 2, .stride = 2}) return 2;
  if (w == Window{.kernel = 3, .stride = 2, .pad = 1}) return 3;
  return {};
}

// Who reads a buffer.
std::vector<std::size_t> readers_of(const Lowered& network, int buffer) {
  std::vector<std::size_t> readers;
  for (std::size_t i = 0; i < network.ops.size(); ++i)
    if (std::ranges::any_of(access_of(network.ops[i].step).reads, [&](const Place& p) { return p.buffer == buffer; }))
      readers.push_back(i);
  return readers;
}

}  // namespace

void fuse_stem(Lowered& network, const Cuda& cuda) {
  const std::vector<std::size_t> first = readers_of(network, network.input.buffer);
  if (first.size() != 1) return;
  const auto* conv = std::get_if<ConvStep>(&network.ops[first.front()].step);
  if (!conv || conv->window != kStemWindow || !conv->relu || conv->residual || conv->joined || conv->copy) return;
  const int between = conv->dst.buffer;
  if (between == network.output.buffer) return;

  StemStep fused{*conv, {}, {}};
  std::vector<std::size_t> pools = readers_of(network, between);
  int channel = 0;
  for (const Filters& filters : conv->filters) {
    const auto pooling = std::ranges::find_if(pools, [&](std::size_t i) {
      const auto* pool = std::get_if<MaxPoolStep>(&network.ops[i].step);
      return pool && pool->src.first_channel == channel && pool->src.shape.c == filters.out && pool_of(pool->window);
    });
    if (pooling == pools.end()) return;
    const auto& pool = std::get<MaxPoolStep>(network.ops[*pooling].step);
    fused.pooled.push_back(pool.dst), fused.pools.push_back(*pool_of(pool.window));
    channel += filters.out;
  }
  if (pools.size() != conv->filters.size() || !has_stem(cuda, stem_of(fused, network))) return;

  network.ops[first.front()].step = std::move(fused);
  std::erase_if(network.named, [&](const auto& named) { return named.second.buffer == between; });
  for (std::size_t i = pools.size(); i-- > 0;) network.ops.erase(network.ops.begin() + static_cast<std::ptrdiff_t>(pools[i]));
}

Stem stem_of(const StemStep& step, const Lowered& network) {
  const Place& src = step.conv.src;
  Stem stem{src.shape, network.buffers[static_cast<std::size_t>(src.buffer)].dtype, {}};
  for (std::size_t i = 0; i < step.pooled.size(); ++i) stem.parts.push_back({step.pooled[i].shape.c, step.pools[i]});
  return stem;
}

}  // namespace mfs::core
