#include "kernels/max_pool.h"

#include "kernels/cuda/element.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct MaxPoolParams {
  Shape in, out;
  int kernel, stride, pad, src_pitch, dst_pitch;
  uint32_t items;  // output pixels x vectors of channels
};

MFS_DEVICE int clamped(int i, int size) { return i < 0 ? 0 : i < size ? i : size - 1; }

// One thread for kWidth channels of one output pixel; neighbouring threads have neighbouring channels. Positions in the padding
// move to the edge, which the window contains anyway: without branches all loads of a known window are under way at once. A NaN
// wins, as in PyTorch: it must not vanish. kKernel = 0: any window.
template <class T, int kWidth, int kKernel>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256) max_pool_kernel(const T* src, T* dst, MaxPoolParams p) {
  simt::grid_dependency_wait();
  const uint32_t item = global_thread();
  if (item >= p.items) return;
  const uint32_t vectors = static_cast<uint32_t>(p.out.c) / kWidth, channel = item % vectors * kWidth, pixel = item / vectors;
  const int x = static_cast<int>(pixel % p.out.w), row = static_cast<int>(pixel / p.out.w), y = row % p.out.h;
  const int left = x * p.stride - p.pad, top = y * p.stride - p.pad, kernel = kKernel > 0 ? kKernel : p.kernel;
  const int64_t first_row = int64_t{row / p.out.h} * p.in.h;
  float best[kWidth];
  MFS_UNROLL
  for (int i = 0; i < kWidth; ++i) best[i] = -INFINITY;
  MFS_UNROLL
  for (int dy = 0; dy < kernel; ++dy) {
    const T* const from = src + (first_row + clamped(top + dy, p.in.h)) * p.in.w * p.src_pitch + channel;
    MFS_UNROLL
    for (int dx = 0; dx < kernel; ++dx) {
      float v[kWidth];
      load_channels<kWidth>(from + int64_t{clamped(left + dx, p.in.w)} * p.src_pitch, v);
      MFS_UNROLL
      for (int i = 0; i < kWidth; ++i) best[i] = v[i] > best[i] || v[i] != v[i] ? v[i] : best[i];
    }
  }
  store_channels<kWidth>(dst + int64_t{pixel} * p.dst_pitch + channel, best);
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const MaxPool& op) {
  if (Status s = check(op); !s) return s;
  return with_device_type("max_pool", op.src.dtype, vectorises({op.src, op.dst}), [&]<class T, int kWidth>() -> Status {
    const std::int64_t items = op.dst.shape.elements() / kWidth;
    if (Status s = check_items("max_pool", items); !s) return s;
    const MaxPoolParams params{op.src.shape, op.dst.shape, op.kernel,    op.stride,
                               op.pad,       op.src.pitch, op.dst.pitch, static_cast<uint32_t>(items)};
    const auto kernel = op.kernel == 2   ? max_pool_kernel<T, kWidth, 2>
                        : op.kernel == 3 ? max_pool_kernel<T, kWidth, 3>
                                         : max_pool_kernel<T, kWidth, 0>;
    return simt::launch(stream_of(cuda), threads_for("max_pool", items), kernel, static_cast<const T*>(op.src.data),
                        static_cast<T*>(op.dst.data), params);
  });
}

}  // namespace mfs::core
