#include "kernels/resize_bilinear.h"

#include "kernels/cuda/element.h"
#include "kernels/cuda/lerp.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct ResizeParams {
  Shape in, out;
  LerpAxis y, x;
  int src_pitch, dst_pitch;
  uint32_t chunks;  // blocks for all channels of a pixel
};

constexpr int kResizeRun = 4;  // pixels of a row per thread: they share the arithmetic of y

// A block has columns of kWidth channels, and lanes that share the pixels of one row.
template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256) resize_bilinear_kernel(const T* src, T* dst, ResizeParams p) {
  simt::grid_dependency_wait();
  const uint32_t block = simt::block_index().x, lanes = simt::block_size().y;
  const int channel = static_cast<int>(block % p.chunks * simt::block_size().x + simt::thread_index().x) * kWidth;
  if (channel >= p.in.c) return;
  const int first = static_cast<int>(block / p.chunks * lanes * kResizeRun + simt::thread_index().y);
  const int row = static_cast<int>(simt::block_index().y);
  const int64_t image = simt::block_index().z;
  const Lerp y = lerp_on(p.y, row);
  const T* top = src + (image * p.in.h + y.lo) * p.in.w * p.src_pitch + channel;
  const T* bottom = src + (image * p.in.h + y.hi) * p.in.w * p.src_pitch + channel;
  T* to = dst + (image * p.out.h + row) * p.out.w * p.dst_pitch + channel;
  MFS_UNROLL
  for (int i = 0; i < kResizeRun; ++i) {
    const int column = first + i * static_cast<int>(lanes);
    if (column >= p.out.w) return;
    const Lerp x = lerp_on(p.x, column);
    const int64_t left = int64_t{x.lo} * p.src_pitch, right = int64_t{x.hi} * p.src_pitch;
    float a[kWidth], b[kWidth], c[kWidth], d[kWidth];
    load_channels<kWidth>(top + left, a);
    load_channels<kWidth>(top + right, b);
    load_channels<kWidth>(bottom + left, c);
    load_channels<kWidth>(bottom + right, d);
    const float wa = (1 - y.t) * (1 - x.t), wb = (1 - y.t) * x.t, wc = y.t * (1 - x.t), wd = y.t * x.t;
    MFS_UNROLL
    for (int k = 0; k < kWidth; ++k) a[k] = wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k];
    store_channels<kWidth>(to + int64_t{column} * p.dst_pitch, a);
  }
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const ResizeBilinear& op) {
  if (Status s = check(op); !s) return s;
  const Shape &in = op.src.shape, &out = op.dst.shape;
  if (Status s = check_lerp("resize_bilinear", in.h, out.h); !s) return s;
  if (Status s = check_lerp("resize_bilinear", in.w, out.w); !s) return s;
  return with_device_type("resize_bilinear", op.src.dtype, vectorises({op.src, op.dst}), [&]<class T, int kWidth>() {
    const int vectors = in.c / kWidth;
    const unsigned columns = threads_of_block(vectors, 32), lanes = 256 / columns, pixels = lanes * kResizeRun;
    const uint32_t chunks = channel_chunks(vectors, columns);
    simt::LaunchShape shape;
    shape.name = "resize_bilinear";
    shape.grid = {chunks * ((static_cast<unsigned>(out.w) + pixels - 1) / pixels), static_cast<unsigned>(out.h),
                  static_cast<unsigned>(out.n)};
    shape.block = {columns, lanes, 1};
    const ResizeParams params{
        in,           out,   lerp_axis(in.h, out.h, op.align_corners), lerp_axis(in.w, out.w, op.align_corners), op.src.pitch,
        op.dst.pitch, chunks};
    return simt::launch(stream_of(cuda), shape, resize_bilinear_kernel<T, kWidth>, static_cast<const T*>(op.src.data),
                        static_cast<T*>(op.dst.data), params);
  });
}

}  // namespace mfs::core
