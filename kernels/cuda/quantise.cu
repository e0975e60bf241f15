#include "kernels/quantise.h"

#include "kernels/cuda/element.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct QuantiseParams {
  float inverse_scale;
  uint32_t vectors;  // of a pixel
  int src_pitch, dst_pitch;
  uint32_t items;  // pixels x vectors
};

// A thread's kWidth channels.
template <class T, class Narrow, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256) quantise_kernel(const T* src, uint8_t* dst, QuantiseParams p) {
  simt::grid_dependency_wait();
  const uint32_t item = global_thread();
  if (item >= p.items) return;
  const uint32_t pixel = item / p.vectors, channel = item % p.vectors * kWidth;
  float v[kWidth];
  load_channels<kWidth>(src + int64_t{pixel} * p.src_pitch + channel, v);
  uint32_t words[2] = {};
  MFS_UNROLL
  for (int i = 0; i < kWidth; i += 2) {
    const float high = kWidth > 1 ? v[(i + 1) % kWidth] : 0;
    words[i / 4] |= narrowed<Narrow>(v[i] * p.inverse_scale, high * p.inverse_scale) << i % 4 * 8;
  }
  uint8_t* const to = dst + int64_t{pixel} * p.dst_pitch + channel;
  if constexpr (kWidth == 1) {
    simt::store(to, static_cast<uint8_t>(words[0]));
  } else {
    simt::store(reinterpret_cast<simt::U32x2*>(to), simt::U32x2{words[0], words[1]});
  }
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const Quantise& op) {
  if (Status s = check(op); !s) return s;
  return with_device_type("quantise", op.src.dtype, vectorises({op.src, op.dst}), [&]<class T, int kWidth>() -> Status {
    const std::int64_t items = op.src.shape.elements() / kWidth;
    if (Status s = check_items("quantise", items + 256); !s) return s;
    const QuantiseParams params{1 / op.scale, static_cast<uint32_t>(op.src.shape.c / kWidth), op.src.pitch, op.dst.pitch,
                                static_cast<uint32_t>(items)};
    const auto kernel =
        op.dst.dtype == DType::kU8 ? quantise_kernel<T, uint8_t, kWidth> : quantise_kernel<T, simt::E4m3, kWidth>;
    return simt::launch(stream_of(cuda), threads_for("quantise", items), kernel, static_cast<const T*>(op.src.data),
                        static_cast<uint8_t*>(op.dst.data), params);
  });
}

}  // namespace mfs::core
