#include "kernels/cuda/simt/wgmma.h"

#include <algorithm>
#include <memory>

#include "kernels/cpu/multiversion.h"
#include "kernels/cuda/simt/emulation/elements.h"
#include "kernels/cuda/simt/emulation/scheduler.h"
#include "kernels/cuda/simt/emulation/swizzle.h"

namespace mfs::core::simt {
namespace emulation {
namespace {

struct Operand {
  uint32_t start, group_stride, k_stride;
  Swizzle swizzle;
};

Operand decode(uint64_t descriptor) {
  constexpr Swizzle kCodes[] = {Swizzle::kNone, Swizzle::k128, Swizzle::k64, Swizzle::k32};
  return {static_cast<uint32_t>(descriptor & 0x3fff) << 4, static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4,
          static_cast<uint32_t>(descriptor >> 16 & 0x3fff) << 4, kCodes[descriptor >> 62]};
}

// The shared address of 16 bytes: chunk 0 or 1 of K in row `row`.
uint32_t chunk_address(const Operand& o, uint32_t row, uint32_t chunk) {
  const auto width = static_cast<uint32_t>(o.swizzle);
  if (width == 0) return o.start + row / 8 * o.group_stride + row % 8 * 16 + chunk * o.k_stride;
  return swizzled(o.start + row / 8 * o.group_stride + row % 8 * width + chunk * 16, o.swizzle);
}

void check_operand(const Operand& o, uint32_t rows, const Block& block, const char* name, const Site& site) {
  const auto width = static_cast<uint32_t>(o.swizzle);
  if (width != 0 && o.start % (8 * width) >= width) {
    fail(site, "wgmma: operand %s starts at 0x%x, not in the first row of a swizzle atom", name, o.start);
  }
  if (width != 0 && o.start % width > width - 32) fail(site, "wgmma: operand %s reads across the end of a row", name);
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t chunk = 0; chunk < 2; ++chunk) {
      const uint32_t address = chunk_address(o, row, chunk);
      if (address < block.shared_base || address + 16 > block.shared_base + block.grid->shape.shared_bytes) {
        fail(site, "wgmma: row %u of operand %s is outside shared memory", row, name);
      }
    }
  }
}

// sums (columns) = left (depth) * right (depth x columns), K in its order.
MFS_MULTIVERSION void multiply_row(const double* left, const double* right, uint32_t depth, uint32_t columns, double* sums) {
  std::fill(sums, sums + columns, 0.0);
  for (uint32_t k = 0; k < depth; ++k) {
    for (uint32_t n = 0; n < columns; ++n) sums[n] += left[k] * right[k * columns + n];
  }
}

template <class T, class Right = T>
void multiply(const WgmmaCall& call, const Block& block) {
  constexpr int kDepth = 32 / sizeof(T), kPerChunk = kDepth / 2;
  const Operand a = decode(call.a), b = decode(call.b);
  const auto chunk_of = [&](const Operand& o, uint32_t row, uint32_t chunk) {
    return block.shared + (chunk_address(o, row, chunk) - block.shared_base);
  };
  double left[kDepth];
  auto right = std::make_unique<double[]>(static_cast<size_t>(kDepth) * call.columns);  // [k][column]
  for (uint32_t n = 0; n < call.columns; ++n) {
    for (uint32_t chunk = 0; chunk < 2; ++chunk) widen<Right>(chunk_of(b, n, chunk), kPerChunk, left + chunk * kPerChunk);
    for (uint32_t k = 0; k < kDepth; ++k) right[k * call.columns + n] = left[k];
  }
  double sum[256];
  for (uint32_t row = 0; row < 64; ++row) {
    for (uint32_t chunk = 0; chunk < 2; ++chunk) widen<T>(chunk_of(a, row, chunk), kPerChunk, left + chunk * kPerChunk);
    multiply_row(left, right.get(), kDepth, call.columns, sum);
    for (uint32_t n = 0; n < call.columns; ++n) {
      const uint32_t thread = row / 16 * 32 + row % 8 * 4 + n % 8 / 2;
      auto& d = static_cast<Accumulator<T>*>(call.accumulators[thread])[n / 8 * 4 + row % 16 / 8 * 2 + n % 2];
      d = static_cast<Accumulator<T>>((call.accumulate ? static_cast<double>(d) : 0.0) + sum[n]);
    }
  }
}

// Each warp reads its 16 rows of a and all of b.
void touch_operands(const WgmmaCall& call, const Block& block, const Site& site) {
  const Operand a = decode(call.a), b = decode(call.b);
  for (uint32_t warp = 0; warp < 4; ++warp) {
    const auto read = [&](uint32_t address) {
      touch(call.agents[warp], block.shared + (address - block.shared_base), 16, Touch::kRead, true, site);
    };
    for (uint32_t chunk = 0; chunk < 2; ++chunk) {
      for (uint32_t row = 0; row < 16; ++row) read(chunk_address(a, warp * 16 + row, chunk));
      for (uint32_t row = 0; row < call.columns; ++row) read(chunk_address(b, row, chunk));
    }
  }
}

void execute(const WgmmaCall& call, const Block& block, const Site& site) {
  if (state().options.detect_races) touch_operands(call, block, site);
  switch (static_cast<WgmmaType>(call.type)) {
    case WgmmaType::kHalf:
      return multiply<Half>(call, block);
    case WgmmaType::kBFloat16:
      return multiply<BFloat16>(call, block);
    case WgmmaType::kE4m3:
      return multiply<E4m3>(call, block);
    case WgmmaType::kS8:
      return multiply<int8_t>(call, block);
    case WgmmaType::kU8S8:
      return multiply<uint8_t, int8_t>(call, block);
  }
}

}  // namespace
}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

using namespace emulation;

void wgmma(void* d, WgmmaType type, int columns, uint64_t a, uint64_t b, bool accumulate, Site site) {
  check_warpgroup_aligned_call("wgmma", site);
  Thread& t = current();
  Block& block = *t.block;
  Warpgroup& group = block.warpgroups[t.number / 128];
  const unsigned lane = t.number % 128;
  if (!t.wgmma_fenced) fail(site, "wgmma without wgmma_fence since the start or the last wgmma_wait");
  const uint64_t number = group.issued[lane]++;
  if (number - group.submitted == group.calls.size()) {
    group.calls.push_back({.type = static_cast<unsigned>(type),
                           .columns = static_cast<unsigned>(columns),
                           .a = a,
                           .b = b,
                           .accumulate = accumulate});
    check_operand(decode(a), 64, block, "a", site);
    check_operand(decode(b), static_cast<uint32_t>(columns), block, "b", site);
  }
  WgmmaCall& call = group.calls[number - group.submitted];
  if (call.a != a || call.b != b || call.accumulate != accumulate) fail(site, "wgmma: operands differ inside the warpgroup");
  call.accumulators[lane] = d;
  if (lane % 32 == 0) call.agents[lane / 32] = make_async_agent(t);
  if (++call.arrived < 128) return;
  ++group.submitted;
  const auto complete_call = std::make_shared<WgmmaCall>(std::move(call));
  group.calls.pop_front();
  if (state().options.detect_races) group.history.push_back({number, complete_call});
  submit({.issuer = &t,
          .kind = GroupKind::kWgmma,
          .group = group.submitted,
          .chain = &group,
          .block = &block,
          .what = "wgmma",
          .run = [complete_call, &block, site] { execute(*complete_call, block, site); }});
}

void wgmma_fence(Site site) {
  check_warpgroup_aligned_call("wgmma_fence", site);
  current().wgmma_fenced = true;
}

void wgmma_commit(Site site) {
  check_warpgroup_aligned_call("wgmma_commit", site);
  Thread& t = current();
  t.wgmma_groups.push_back(t.block->warpgroups[t.number / 128].issued[t.number % 128]);
}

void wgmma_wait(unsigned left, Site site) {
  check_warpgroup_aligned_call("wgmma_wait", site);
  Thread& t = current();
  Warpgroup& group = t.block->warpgroups[t.number / 128];
  if (t.wgmma_groups.size() <= left) return;
  const auto end = t.wgmma_groups.end() - left;
  const uint64_t count = end[-1];
  t.wgmma_groups.erase(t.wgmma_groups.begin(), end);
  t.wgmma_fenced = false;
  wait_until("wgmma_wait", site, [&] { return group.submitted >= count; });
  complete([&](const AsyncOp& op) { return op.chain == &group && op.group <= count; });
  group.waited[t.number % 128] = count;
  if (!state().options.detect_races) return;
  for (const auto& [number, call] : group.history) {
    if (number >= count) break;
    for (const AsyncAgent& agent : call->agents) release(agent, t.knowledge, true);
  }
  const uint64_t all = *std::min_element(group.waited.begin(), group.waited.end());
  while (!group.history.empty() && group.history.front().first < all) group.history.pop_front();
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
