#include "kernels/fully_connected.h"

#include "kernels/cuda/element.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct FullyConnectedParams {
  uint32_t k, m, outputs;  // outputs of all vectors
  uint32_t lanes;          // for one output
  Activation activation;
};

MFS_DEVICE float activated(float v, Activation activation) {
  if (activation == Activation::kRelu) return v < 0 ? 0.0f : v;
  return activation == Activation::kSigmoid ? 1.0f / (1.0f + expf(-v)) : v;
}

// One warp, or a part of one where k is small, for one output. Vector is float or F32x4.
template <class Vector>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(128)
    fully_connected_kernel(const float* src, const float* weights, const float* bias, float* dst, FullyConnectedParams p) {
  simt::grid_dependency_wait();
  const uint32_t lane = global_thread() % p.lanes, output = global_thread() / p.lanes;
  const bool inside = output < p.outputs;  // the others only take part in the shuffles
  const uint32_t row = inside ? output % p.m : 0, vector = inside ? output / p.m : 0;
  const auto* a = reinterpret_cast<const Vector*>(src + int64_t{vector} * p.k);
  const auto* b = reinterpret_cast<const Vector*>(weights + int64_t{row} * p.k);
  float sum = 0;
  for (uint32_t i = lane; i < p.k * sizeof(float) / sizeof(Vector); i += p.lanes) {
    const Vector x = simt::load(a + i), w = simt::load_constant(b + i);
    if constexpr (std::is_same_v<Vector, float>) {
      sum += x * w;
    } else {
      sum += (x.x * w.x + x.y * w.y) + (x.z * w.z + x.w * w.w);
    }
  }
  for (unsigned half = p.lanes / 2; half > 0; half /= 2) sum += simt::shuffle_xor(sum, half);
  if (lane != 0 || !inside) return;
  if (bias != nullptr) sum += simt::load_constant(bias + row);
  simt::store(dst + output, activated(sum, p.activation));
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const FullyConnected& op) {
  if (Status s = check(op); !s) return s;
  const std::int64_t outputs = op.dst.shape.elements();
  if (Status s = check_items("fully_connected", outputs * 32); !s) return s;
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  const auto k = static_cast<uint32_t>(op.src.shape.c);
  const bool vectors = k % 4 == 0 && aligned(op.src.data) && aligned(op.weights);
  const uint32_t lanes = threads_of_block(static_cast<int>(vectors ? k / 4 : k), 32);
  const FullyConnectedParams params{k, static_cast<uint32_t>(op.dst.shape.c), static_cast<uint32_t>(outputs), lanes,
                                    op.activation};
  return simt::launch(stream_of(cuda), threads_for("fully_connected", outputs * lanes, 128),
                      vectors ? fully_connected_kernel<simt::F32x4> : fully_connected_kernel<float>,
                      static_cast<const float*>(op.src.data), op.weights, op.bias, static_cast<float*>(op.dst.data), params);
}

}  // namespace mfs::core
