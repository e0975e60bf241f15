// What the CUDA families of convolutions share on the host: parameters read once, packed, and kept on the device.
#pragma once

#include <vector>

#include "kernels/conv.h"
#include "kernels/cuda/device.h"
#include "kernels/error.h"

namespace mfs::core {

// The checkpoint's parameters in f32.
struct ConvF32Parameters {
  std::vector<float> weights, joined, bias;

  ConvF32Parameters(const Conv& c, const ConvParameters& write)
      : weights(static_cast<std::size_t>(std::int64_t{c.dst.c} * c.src.c * c.kernel * c.kernel)),
        joined(static_cast<std::size_t>(std::int64_t{c.dst.c} * c.joined.c)),
        bias(static_cast<std::size_t>(c.dst.c)) {
    write(weights.data(), joined.data(), bias.data());
  }
};

struct ConvWeights final : PackedWeights {
  CudaMemory weights, bias, scale;  // scale: narrow types only
};

template <typename Element>
CudaMemory on_device(const std::vector<Element>& data) {
  CudaMemory memory(MemoryKind::kDevice, data.size() * sizeof(Element));
  if (const Status s = upload(memory.data(), data.data(), memory.size()); !s) throw Error(s.code(), s.message());
  return memory;
}

template <typename Element>
std::shared_ptr<const ConvWeights> on_device(const std::vector<Element>& weights, const std::vector<float>& bias,
                                             const std::vector<float>& scale = {}) {
  auto all = std::make_shared<ConvWeights>();
  all->weights = on_device(weights);
  all->bias = on_device(bias);
  if (!scale.empty()) all->scale = on_device(scale);
  return all;
}

}  // namespace mfs::core
