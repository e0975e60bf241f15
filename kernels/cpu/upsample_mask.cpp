#include "kernels/upsample_mask.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_pair.h"
#include "kernels/mask_decision.h"
#include "kernels/resize_bilinear.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

MFS_MULTIVERSION void sigmoid_of(const float* src, std::int64_t count, float* dst) {
  MFS_INDEPENDENT
  for (std::int64_t i = 0; i < count; ++i) dst[i] = fast_sigmoid(src[i]);
}

// One grid row to the photo's width.
void expand(const float* row, const int* lo, const float* t, int grid_width, int width, float* dst) {
  for (int x = 0; x < width; ++x) dst[x] = lerp(row[lo[x]], row[std::min(lo[x] + 1, grid_width - 1)], t[x]);
}

template <bool kSigmoid, bool kProbability, bool kMask>
MFS_MULTIVERSION void finish_row(const float* a, const float* b, float t, int width, const Decision& decision,
                                 float* probability, std::uint8_t* mask) {
  const Decision d = decision;
  MFS_INDEPENDENT
  for (int x = 0; x < width; ++x) {
    const float v = lerp(a[x], b[x], t);
    const bool object = v > d.cut;
    if constexpr (kProbability) {
      probability[x] = kSigmoid ? on_side_of(fast_sigmoid(v), object, d) : v;
    }
    if constexpr (kMask) mask[x] = object ? 255 : 0;
  }
}

using FinishRow = void (*)(const float*, const float*, float, int, const Decision&, float*, std::uint8_t*);

template <bool kSigmoid>
FinishRow finish_row_for(const UpsampleMask& op) {
  if (op.probability == nullptr) return finish_row<kSigmoid, false, true>;
  return op.mask == nullptr ? finish_row<kSigmoid, true, false> : finish_row<kSigmoid, true, true>;
}

// Horizontal positions, and for every thread the two grid rows around the current photo row, expanded to the photo's width.
struct Layout {
  int* lo;
  float *t, *rows, *probability;
  std::int64_t row_step;  // floats between expanded rows
  std::size_t bytes;
};

Layout lay_out(const Cpu& cpu, const UpsampleMask& op, std::byte* memory) {
  ScratchCutter scratch(memory);
  Layout l;
  l.lo = scratch.take<int>(op.width);
  l.t = scratch.take<float>(op.width);
  l.probability = op.domain == UpsampleOf::kProbability ? scratch.take<float>(op.logit.shape.elements()) : nullptr;
  l.row_step = (std::int64_t{op.width} + 15) / 16 * 16;
  l.rows = scratch.take<float>(2 * l.row_step * std::max(cpu.threads, 1));
  l.bytes = scratch.used();
  return l;
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const UpsampleMask& op) { return lay_out(cpu, op, nullptr).bytes; }

Status run(const Cpu& cpu, const UpsampleMask& op) {
  if (Status s = check(op); !s) return s;
  if (op.logit.shape.c != 1) return refuse("upsample_mask", "the CPU engine's logit has no parts");
  if (Status s = check_scratch("upsample_mask", op.scratch, scratch_bytes(cpu, op)); !s) return s;
  const Layout l = lay_out(cpu, op, op.scratch.data());
  const int grid_height = op.logit.shape.h, grid_width = op.logit.shape.w;
  for (int x = 0; x < op.width; ++x) {
    const Lerp at = lerp_at(x, grid_width, op.width, op.align_corners);
    l.lo[x] = at.lo, l.t[x] = at.t;
  }
  const bool of_logit = op.domain == UpsampleOf::kLogit;
  const auto* grid = static_cast<const float*>(op.logit.data);
  if (!of_logit) {
    sigmoid_of(grid, op.logit.shape.elements(), l.probability);
    grid = l.probability;
  }
  const Decision decision = decision_of(op);
  const FinishRow finish = of_logit ? finish_row_for<true>(op) : finish_row_for<false>(op);

  parallel_ranges(cpu, op.height, [&](std::int64_t begin, std::int64_t end, int thread) {
    RowPair rows(l.rows + 2 * thread * l.row_step, l.rows + (2 * thread + 1) * l.row_step);
    for (std::int64_t y = begin; y < end; ++y) {
      const Lerp at = lerp_at(static_cast<int>(y), grid_height, op.height, op.align_corners);
      rows.move_to(
          at, [&](int row, float* to) { expand(grid + std::int64_t{row} * grid_width, l.lo, l.t, grid_width, op.width, to); });
      auto* probability = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(op.probability) + y * op.probability_stride);
      finish(rows.lo(), rows.hi(), at.t, op.width, decision, op.probability == nullptr ? nullptr : probability,
             op.mask == nullptr ? nullptr : op.mask + y * op.mask_stride);
    }
  });
  return {};
}

}  // namespace mfs::core
