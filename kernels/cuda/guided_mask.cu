#include "kernels/guided_mask.h"

#include "kernels/cuda/lerp.h"
#include "kernels/cuda/photo.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/mask_decision.h"
#include "kernels/plane_fit.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kGuidedRows = 8;  // per thread, which keeps the two grid rows around them

struct GuidedMaskParams {
  const simt::F32x4* planes;
  int grid_width;
  LerpAxis rows, columns;
  Photo photo;
  float threshold;
  float* probability;
  int64_t probability_stride;
  uint8_t* mask;
  int64_t mask_stride;
};

MFS_DEVICE simt::F32x4 lerp(const simt::F32x4& a, const simt::F32x4& b, float t) {
  using core::lerp;
  return {lerp(a.x, b.x, t), lerp(a.y, b.y, t), lerp(a.z, b.z, t), lerp(a.w, b.w, t)};
}

// Grid row `y` at the horizontal position `at`.
MFS_DEVICE simt::F32x4 expanded(const GuidedMaskParams& p, int y, const Lerp& at) {
  const simt::F32x4* const row = p.planes + int64_t{y} * p.grid_width;
  return lerp(simt::load(row + at.lo), simt::load(row + at.hi), at.t);
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kStripWidth) guided_mask_kernel(GuidedMaskParams p) {
  simt::grid_dependency_wait();
  auto* rows = reinterpret_cast<Lerp*>(simt::shared_memory());
  const auto [x, first] = strip_position(p.photo.width, kGuidedRows);
  const int thread = static_cast<int>(simt::thread_index().x);
  if (thread < kGuidedRows) rows[thread] = lerp_on(p.rows, first + thread);
  simt::sync_block();
  if (x >= p.photo.width) return;
  const Lerp column = lerp_on(p.columns, x);
  const int count = p.photo.height - first < kGuidedRows ? p.photo.height - first : kGuidedRows;
  HeldRows<simt::F32x4> around;
  for (int i = 0; i < count; ++i) {
    const Lerp row = rows[i];
    around.move_to(row, [&](int grid_row) { return expanded(p, grid_row, column); });
    const int64_t y = first + i;
    const simt::F32x4 plane = lerp(around.upper, around.lower, row.t);
    const Pixel px = load_pixel(p.photo, pixel_at(p.photo, x, first + i));
    const float value = guided_probability(plane.x, plane.y, plane.z, plane.w, px.r, px.g, px.b);
    if (p.probability != nullptr) {
      float* out = reinterpret_cast<float*>(reinterpret_cast<unsigned char*>(p.probability) + y * p.probability_stride);
      simt::store(out + x, value);
    }
    if (p.mask != nullptr) simt::store(p.mask + y * p.mask_stride + x, static_cast<uint8_t>(value > p.threshold ? 255 : 0));
  }
}

}  // namespace
}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const GuidedMask&) { return 0; }

Status run(const Cuda& cuda, const GuidedMask& op) {
  constexpr const char* kOp = "guided_mask";
  if (Status s = check(op); !s) return s;
  if (reinterpret_cast<std::uintptr_t>(op.planes.data) % sizeof(simt::F32x4) != 0)
    return refuse(kOp, "planes is not 16-byte aligned");
  const Shape& grid = op.planes.shape;
  const int width = op.image.width, height = op.image.height;
  if (Status s = check_lerp(kOp, grid.h, height + kGuidedRows); !s) return s;
  if (Status s = check_lerp(kOp, grid.w, width); !s) return s;
  if (Status s = check_items(kOp, strips_of(width, height, kGuidedRows)); !s) return s;
  const GuidedMaskParams params{static_cast<const simt::F32x4*>(op.planes.data),
                                grid.w,
                                lerp_axis(grid.h, height, false),
                                lerp_axis(grid.w, width, false),
                                photo_of(op.image),
                                op.threshold,
                                op.probability,
                                op.probability_stride,
                                op.mask,
                                op.mask_stride};
  simt::LaunchShape shape = strips_for(kOp, width, height, kGuidedRows);
  shape.shared_bytes = kGuidedRows * sizeof(Lerp);
  return simt::launch(stream_of(cuda), shape, guided_mask_kernel, params);
}

}  // namespace mfs::core
