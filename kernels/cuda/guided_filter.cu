// A thread fits one window, a second launch averages the fits; either way a block's threads first load what their windows touch
// into shared memory.
#include "kernels/guided_filter.h"

#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/plane_fit.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kTile = 16, kThreads = kTile * kTile;

struct GuidedFilterParams {
  const simt::F32x4* src;  // colours; planes of the fits
  const float* value;      // of the fits only
  simt::F32x4* dst;
  int width, height, radius;
  float epsilon;
};

// The part of a thread's window that lies in the picture, in coordinates of the tile.
struct TileWindow {
  const simt::F32x4* tile;
  int pitch, left, right, top, bottom;
  float share;  // one over the number of pixels

  // body(pixel), row by row
  template <class Body>
  MFS_DEVICE void for_each(const Body& body) const {
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x) body(simt::load(tile + y * pitch + x));
  }
};

// Fills the block's tile and waits for it. kValue: the fourth number of a pixel is its value.
template <bool kValue>
MFS_DEVICE TileWindow load_tile(const GuidedFilterParams& p, int tile_x, int tile_y) {
  auto* const tile = reinterpret_cast<simt::F32x4*>(simt::shared_memory());
  const int pitch = kTile + 2 * p.radius, thread = static_cast<int>(simt::thread_index().x);
  for (int i = thread; i < pitch * pitch; i += kThreads) {
    const int x = tile_x - p.radius + i % pitch, y = tile_y - p.radius + i / pitch;
    if (x < 0 || x >= p.width || y < 0 || y >= p.height) continue;
    const int64_t pixel = int64_t{y} * p.width + x;
    simt::F32x4 v = simt::load(p.src + pixel);
    if constexpr (kValue) v.w = simt::load(p.value + pixel);
    simt::store(tile + i, v);
  }
  simt::sync_block();
  const int column = thread % kTile, row = thread / kTile, x = tile_x + column, y = tile_y + row, r = p.radius;
  TileWindow w{tile, pitch, column, column + 2 * r, row, row + 2 * r, 0};
  if (x < r) w.left += r - x;
  if (y < r) w.top += r - y;
  if (x + r >= p.width) w.right -= x + r - p.width + 1;
  if (y + r >= p.height) w.bottom -= y + r - p.height + 1;
  w.share = 1 / static_cast<float>((w.right - w.left + 1) * (w.bottom - w.top + 1));
  return w;
}

MFS_DEVICE WindowStatistics statistics_of(const TileWindow& window) {
  WindowStatistics s{};
  window.for_each([&](const simt::F32x4& v) { s.mean[0] += v.x, s.mean[1] += v.y, s.mean[2] += v.z, s.mean[3] += v.w; });
  MFS_UNROLL
  for (float& m : s.mean) m *= window.share;
  window.for_each([&](const simt::F32x4& v) {
    const float r = v.x - s.mean[0], g = v.y - s.mean[1], b = v.z - s.mean[2], value = v.w - s.mean[3];
    s.covariance[0] += r * r, s.covariance[1] += r * g, s.covariance[2] += r * b;
    s.covariance[3] += g * g, s.covariance[4] += g * b, s.covariance[5] += b * b;
    s.cross[0] += r * value, s.cross[1] += g * value, s.cross[2] += b * value;
  });
  MFS_UNROLL
  for (float& c : s.covariance) c *= window.share;
  MFS_UNROLL
  for (float& c : s.cross) c *= window.share;
  return s;
}

template <bool kFit>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads) guided_filter_kernel(GuidedFilterParams p) {
  simt::grid_dependency_wait();
  const int tiles = (p.width + kTile - 1) / kTile, block = static_cast<int>(simt::block_index().x);
  const int tile_x = block % tiles * kTile, tile_y = block / tiles * kTile;
  const TileWindow window = load_tile<kFit>(p, tile_x, tile_y);
  const int thread = static_cast<int>(simt::thread_index().x), x = tile_x + thread % kTile, y = tile_y + thread / kTile;
  if (x >= p.width || y >= p.height) return;
  float planes[4] = {};
  if constexpr (kFit) {
    fit_plane(statistics_of(window), p.epsilon, planes);
  } else {
    window.for_each([&](const simt::F32x4& v) { planes[0] += v.x, planes[1] += v.y, planes[2] += v.z, planes[3] += v.w; });
    MFS_UNROLL
    for (float& v : planes) v *= window.share;
  }
  simt::store(p.dst + int64_t{y} * p.width + x, simt::F32x4{planes[0], planes[1], planes[2], planes[3]});
}

}  // namespace
}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const GuidedFilter& op) {
  return static_cast<std::size_t>(op.guide.shape.pixels()) * sizeof(simt::F32x4);
}

Status run(const Cuda& cuda, const GuidedFilter& op) {
  constexpr const char* kOp = "guided_filter";
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch(kOp, op.scratch, scratch_bytes(cuda, op)); !s) return s;
  for (const void* p : {op.guide.data, static_cast<const void*>(op.dst.data)})
    if (reinterpret_cast<std::uintptr_t>(p) % sizeof(simt::F32x4) != 0) return refuse(kOp, "a tensor is not 16-byte aligned");
  const int w = op.guide.shape.w, h = op.guide.shape.h;
  const std::int64_t tiles = std::int64_t{(w + kTile - 1) / kTile} * ((h + kTile - 1) / kTile);
  if (Status s = check_items(kOp, tiles * kThreads); !s) return s;
  const int pitch = kTile + 2 * op.radius;
  auto* const fits = reinterpret_cast<simt::F32x4*>(op.scratch.data());
  GuidedFilterParams params{static_cast<const simt::F32x4*>(op.guide.data),
                            static_cast<const float*>(op.value.data),
                            fits,
                            w,
                            h,
                            op.radius,
                            op.epsilon};
  simt::LaunchShape shape = threads_for("guided_filter fit", tiles * kThreads, kThreads);
  shape.shared_bytes = sizeof(simt::F32x4) * pitch * pitch;
  if (Status s = simt::launch(stream_of(cuda), shape, guided_filter_kernel<true>, params); !s) return s;
  params.src = fits, params.dst = static_cast<simt::F32x4*>(op.dst.data);
  shape.name = "guided_filter average";
  return simt::launch(stream_of(cuda), shape, guided_filter_kernel<false>, params);
}

}  // namespace mfs::core
