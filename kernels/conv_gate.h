// A convolution and the squeeze-and-excitation behind it in one kernel on Hopper GPUs, where all of its tiles fit on the GPU at
// once: each block keeps its tile until all of them have been summed. What the convolution computes never reaches memory.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/conv.h"

namespace mfs::core {

// dst = relu?(conv(src) * gate + residual?), the gates as of SqueezeExcite, from means of what the convolution would store.
struct ConvGate {
  Conv conv;  // to the wide type, with sums; no residual, no ReLU: those below come after the gate
  int hidden = 0;
  bool residual = false, relu = false;
  int residual_pitch = 0;  // as of Conv
};

inline constexpr std::size_t kGridBarrierBytes = 64;

struct ConvGateArguments {
  View src, residual, joined;
  // As of SqueezeExcite.
  const float *squeeze = nullptr, *squeeze_bias = nullptr, *excite = nullptr, *excite_bias = nullptr;
  MutView dst;                   // may be residual
  MutView sums;                  // n x 1 x gate_parts() x c, f32, dense
  std::byte* barrier = nullptr;  // kGridBarrierBytes on the device, zero before the first run; for one run at a time
};

class PreparedConvGate {
 public:
  virtual ~PreparedConvGate() = default;
  virtual const std::string& algorithm() const = 0;  // for profiles: "hopper 128x256 s3, cluster 2x1"
  // Allocates nothing of ours, throws nothing.
  virtual Status run(const Cuda&, const ConvGateArguments&) const = 0;
};

// Into how many parts of an image the sums are divided. 0 where there is no such kernel: on other GPUs than Hopper's, for
// convolutions that are not its family's or have more tiles than the GPU has room for.
int gate_parts(const Cuda&, const ConvGate&);

Cost cost(const ConvGate&);

// Throws Error where there is no such kernel.
std::shared_ptr<const PreparedConvGate> prepare_conv_gate(const Cuda&, const ConvGate&, const ConvParameters&,
                                                          const std::string& name, PackCache&);

}  // namespace mfs::core
