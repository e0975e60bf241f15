#include "kernels/upsample_mask.h"

#include "kernels/cuda/lerp.h"
#include "kernels/cuda/photo.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/mask_decision.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kUpsampleRows = 8;  // per thread, which keeps the two grid rows around them

struct UpsampleMaskParams {
  const float* grid;
  int grid_width, parts, height, width;
  LerpAxis rows, columns;
  Decision decision;
  float* probability;
  int64_t probability_stride;
  uint8_t* mask;
  int64_t mask_stride;
};

// A positive infinite exponential gives 0, a NaN stays one.
MFS_DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// A grid pixel, all parts of it.
template <bool kOfLogit>
MFS_DEVICE float grid_value(const UpsampleMaskParams& p, int y, int x) {
  const float* const parts = p.grid + (int64_t{y} * p.grid_width + x) * p.parts;
  float logit = simt::load(parts);
  for (int i = 1; i < p.parts; ++i) logit += simt::load(parts + i);
  return kOfLogit ? logit : sigmoid(logit);
}

// Grid row `y` at the horizontal position `at`.
template <bool kOfLogit>
MFS_DEVICE float expanded(const UpsampleMaskParams& p, int y, const Lerp& at) {
  return lerp(grid_value<kOfLogit>(p, y, at.lo), grid_value<kOfLogit>(p, y, at.hi), at.t);
}

// Positions cost divisions: the rows' are worked out once per block, the column's once per thread.
template <bool kOfLogit>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kStripWidth) upsample_mask_kernel(UpsampleMaskParams p) {
  simt::grid_dependency_wait();
  auto* rows = reinterpret_cast<Lerp*>(simt::shared_memory());
  const auto [x, first] = strip_position(p.width, kUpsampleRows);
  const int thread = static_cast<int>(simt::thread_index().x);
  if (thread < kUpsampleRows) rows[thread] = lerp_on(p.rows, first + thread);
  simt::sync_block();
  if (x >= p.width) return;
  const Lerp column = lerp_on(p.columns, x);
  const int count = p.height - first < kUpsampleRows ? p.height - first : kUpsampleRows;
  HeldRows<float> around;
  for (int i = 0; i < count; ++i) {
    const Lerp row = rows[i];
    around.move_to(row, [&](int y) { return expanded<kOfLogit>(p, y, column); });
    const float v = lerp(around.upper, around.lower, row.t);
    const bool object = v > p.decision.cut;
    const int64_t y = first + i;
    if (p.probability != nullptr) {
      float* out = reinterpret_cast<float*>(reinterpret_cast<unsigned char*>(p.probability) + y * p.probability_stride);
      simt::store(out + x, kOfLogit ? on_side_of(sigmoid(v), object, p.decision) : v);
    }
    if (p.mask != nullptr) simt::store(p.mask + y * p.mask_stride + x, static_cast<uint8_t>(object ? 255 : 0));
  }
}

}  // namespace
}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const UpsampleMask&) { return 0; }

Status run(const Cuda& cuda, const UpsampleMask& op) {
  if (Status s = check(op); !s) return s;
  const Shape& grid = op.logit.shape;
  if (Status s = check_lerp("upsample_mask", grid.h, op.height + kUpsampleRows); !s) return s;
  if (Status s = check_lerp("upsample_mask", grid.w, op.width); !s) return s;
  if (Status s = check_items("upsample_mask", strips_of(op.width, op.height, kUpsampleRows)); !s) return s;
  const UpsampleMaskParams params{static_cast<const float*>(op.logit.data),
                                  grid.w,
                                  grid.c,
                                  op.height,
                                  op.width,
                                  lerp_axis(grid.h, op.height, op.align_corners),
                                  lerp_axis(grid.w, op.width, op.align_corners),
                                  decision_of(op),
                                  op.probability,
                                  op.probability_stride,
                                  op.mask,
                                  op.mask_stride};
  simt::LaunchShape shape = strips_for("upsample_mask", op.width, op.height, kUpsampleRows);
  shape.shared_bytes = kUpsampleRows * sizeof(Lerp);
  const bool of_logit = op.domain == UpsampleOf::kLogit;
  return simt::launch(stream_of(cuda), shape, of_logit ? upsample_mask_kernel<true> : upsample_mask_kernel<false>, params);
}

}  // namespace mfs::core
