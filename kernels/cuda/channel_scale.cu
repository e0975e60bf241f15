#include "kernels/channel_scale.h"

#include "kernels/cuda/element.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct ChannelScaleParams {
  uint32_t vectors, image;  // vectors of channels in a pixel, pixels in an image
  int src_pitch, residual_pitch, dst_pitch;
  bool relu;
  uint32_t items;  // pixels x vectors of channels
};

// One thread for kWidth channels of one pixel, so that dst may be src or residual.
template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256)
    channel_scale_kernel(const T* src, const float* gate, const T* residual, T* dst, ChannelScaleParams p) {
  simt::grid_dependency_wait();
  const uint32_t item = global_thread();
  if (item >= p.items) return;
  const uint32_t vector = item % p.vectors, pixel = item / p.vectors, channel = vector * kWidth;
  float v[kWidth], add[kWidth] = {}, factor[kWidth];
  load_channels<kWidth>(src + int64_t{pixel} * p.src_pitch + channel, v);
  if (residual != nullptr) load_channels<kWidth>(residual + int64_t{pixel} * p.residual_pitch + channel, add);
  load_channels<kWidth>(gate + (int64_t{pixel / p.image} * p.vectors + vector) * kWidth, factor);
  MFS_UNROLL
  for (int i = 0; i < kWidth; ++i) {
    v[i] = v[i] * factor[i] + add[i];
    if (p.relu) v[i] = v[i] < 0 ? 0.0f : v[i];
  }
  store_channels<kWidth>(dst + int64_t{pixel} * p.dst_pitch + channel, v);
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const ChannelScale& op) {
  if (Status s = check(op); !s) return s;
  const bool vectors = vectorises({op.src, op.gate, op.residual, op.dst});
  return with_device_type("channel_scale", op.src.dtype, vectors, [&]<class T, int kWidth>() -> Status {
    const Shape& s = op.src.shape;
    const std::int64_t items = s.elements() / kWidth;
    if (Status status = check_items("channel_scale", items); !status) return status;
    const ChannelScaleParams params{static_cast<uint32_t>(s.c / kWidth),
                                    static_cast<uint32_t>(s.h) * static_cast<uint32_t>(s.w),
                                    op.src.pitch,
                                    op.residual.pitch,
                                    op.dst.pitch,
                                    op.relu,
                                    static_cast<uint32_t>(items)};
    return simt::launch(stream_of(cuda), threads_for("channel_scale", items), channel_scale_kernel<T, kWidth>,
                        static_cast<const T*>(op.src.data), static_cast<const float*>(op.gate.data),
                        static_cast<const T*>(op.residual.data), static_cast<T*>(op.dst.data), params);
  });
}

}  // namespace mfs::core
