#include "kernels/transposed_conv.h"

#include "kernels/cuda/element.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct TransposedConvParams {
  Shape in, out;
  int kernel, stride, pad, src_pitch, residual_pitch, dst_pitch;
  uint32_t items;  // output pixels x vectors of channels
};

// One thread for kWidth channels of one pixel of dst. Along an axis it is reached by the taps that leave the same remainder of
// the stride, each from one pixel of src; the taps ascend as the pixels descend.
template <class T, class D, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256)
    transposed_conv_kernel(const T* src, const float* weights, const T* residual, D* dst, TransposedConvParams p) {
  simt::grid_dependency_wait();
  const uint32_t item = global_thread();
  if (item >= p.items) return;
  const uint32_t vectors = static_cast<uint32_t>(p.out.c) / kWidth, channel = item % vectors * kWidth, pixel = item / vectors;
  const int row = static_cast<int>(pixel / p.out.w);
  const int x = static_cast<int>(pixel % p.out.w) + p.pad, y = row % p.out.h + p.pad;
  const int64_t first_row = int64_t{row / p.out.h} * p.in.h;
  float sum[kWidth] = {};
  if (residual != nullptr) load_channels<kWidth>(residual + int64_t{pixel} * p.residual_pitch + channel, sum);
  for (int ky = y % p.stride, sy = y / p.stride; ky < p.kernel && sy >= 0; ky += p.stride, --sy) {
    if (sy >= p.in.h) continue;
    for (int kx = x % p.stride, sx = x / p.stride; kx < p.kernel && sx >= 0; kx += p.stride, --sx) {
      if (sx >= p.in.w) continue;
      const T* from = src + ((first_row + sy) * p.in.w + sx) * p.src_pitch;
      const float* tap = weights + (int64_t{ky} * p.kernel + kx) * p.in.c * p.out.c + channel;
      for (int i = 0; i < p.in.c; ++i, tap += p.out.c) {
        float w[kWidth];
        load_channels<kWidth>(tap, w);
        const float v = simt::to_float(simt::load(from + i));
        MFS_UNROLL
        for (int k = 0; k < kWidth; ++k) sum[k] += v * w[k];
      }
    }
  }
  store_channels<kWidth>(dst + int64_t{pixel} * p.dst_pitch + channel, sum);
}

template <class T, class D, int kWidth>
Status launch_transposed_conv(const Cuda& cuda, const TransposedConv& op) {
  const std::int64_t items = op.dst.shape.elements() / kWidth;
  if (Status s = check_items("transposed_conv", items); !s) return s;
  const TransposedConvParams params{op.src.shape,      op.dst.shape, op.kernel,
                                    op.stride,         op.pad,       op.src.pitch,
                                    op.residual.pitch, op.dst.pitch, static_cast<uint32_t>(items)};
  return simt::launch(stream_of(cuda), threads_for("transposed_conv", items), transposed_conv_kernel<T, D, kWidth>,
                      static_cast<const T*>(op.src.data), op.weights, static_cast<const T*>(op.residual.data),
                      static_cast<D*>(op.dst.data), params);
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const TransposedConv& op) {
  if (Status s = check(op); !s) return s;
  return with_device_type("transposed_conv", op.src.dtype, vectorises({op.residual, op.dst}), [&]<class T, int kWidth>() {
    return op.dst.dtype == DType::kF32 ? launch_transposed_conv<T, float, kWidth>(cuda, op)
                                       : launch_transposed_conv<T, T, kWidth>(cuda, op);
  });
}

}  // namespace mfs::core
