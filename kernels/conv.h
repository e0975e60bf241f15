// 2-D convolution with everything that follows it fused: bias (folded batch norm), residual, ReLU.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/pack_cache.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// The problem: dst = relu?(conv(src) + joined? + bias + residual?), cross-correlation as in PyTorch, groups = 1, zero padding.
// NHWC; src, joined, residual and dst share the dtype, f32 accumulation; dst's size follows conv_size().
// joined is a 1x1 convolution of a second source: the projected shortcut of a bottleneck as more K of the convolution that it
// is added to (c = 0: none). Pitches are distances between pixels in elements (see View). CPU: f32, bf16 and int8 (wide:
// f32), no joined. CUDA: f16, bf16, int8 and fp8 (wide: f16); f32 for a few pixels (pooled context).
// int8 is dtype u8: src and joined are in units of src_scale and joined_scale, the weights are rounded per output channel to 64
// steps either side of zero (CUDA: 127), sums are exact. fp8 is dtype e4m3, CUDA only, weights too, each output channel scaled
// so that its largest is 448. residual and dst are of type `wide`, or, without residual, dst can be narrow, too, in units of
// dst_scale: rounded to nearest, ties to even, clamped. CUDA can also write a dst of type `wide` once more, narrow. There,
// these types need a Hopper GPU and channels in multiples of 16.
struct Conv {
  Shape src, dst;
  int kernel = 1, stride = 1, dilation = 1, pad = 0;
  DType dtype = DType::kF32;
  int src_pitch = 0, dst_pitch = 0, residual_pitch = 0;  // 0 = dense
  bool residual = false, relu = false;
  Shape joined{0, 0, 0, 0};
  int joined_stride = 1, joined_pitch = 0;
  float src_scale = 0, joined_scale = 0, dst_scale = 0;  // narrow only; dst_scale 0: dst is wide
  float copy_scale = 0;                                  // narrow only; above 0: copy becomes dst in units of this
  DType wide = DType::kF32;                              // narrow only
  bool sums = false;                                     // where sum_parts() is above 0

  bool operator==(const Conv&) const = default;
};

constexpr DType dst_dtype(const Conv& c) { return is_narrow(c.dtype) && c.dst_scale == 0 ? c.wide : c.dtype; }

constexpr int conv_size(int size, int kernel, int stride, int dilation, int pad) {
  return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

Status check(const Conv&);
Cost cost(const Conv&);

// Whether there are convolutions in the type: on this machine's processor f32 and u8 (int8) always, bf16 with AVX-512; on a GPU
// f32, f16 and bf16, and with the Hopper family u8 and e4m3.
bool has_conv(const Cpu&, DType);
bool has_conv(const Cuda&, DType);

// As the problem says; residual may be dst. scratch: PreparedConv::scratch_bytes() bytes, 64-byte aligned.
struct ConvArguments {
  View src, residual, joined;
  MutView dst;
  std::byte* scratch = nullptr;
  MutView copy{};  // dense
  // n x 1 x sum_parts() x c, f32, dense: for every channel the sums of dst, as it is stored, over parts of an image. Which
  // pixels a part has depends on the algorithm, each is in one; the order of their addition is always the same.
  MutView sums{};
};

// Into how many parts of an image a convolution sums its result for squeeze_excite, which then need not read it for that. 0: it
// cannot, as on the CPU, in the portable family, with a narrow dst.
int sum_parts(const Cuda&, const Conv&);

// A problem made ready for one backend: algorithm chosen, weights packed once. Immutable, shareable between threads.
template <typename Device>
class PreparedConv {
 public:
  virtual ~PreparedConv() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual const std::string& algorithm() const = 0;  // for profiles: "jit:avx512_core", "winograd 4x4", "mma 128x64, split 2"
  // Allocates nothing of ours, throws nothing.
  virtual Status run(const Device&, const ConvArguments&) const = 0;
};

// Writes the checkpoint's parameters, batch norm folded: weights (cout, cin, kernel, kernel), those of joined (cout, joined.c),
// bias (cout), all dense f32. Called only when no packed copy exists yet.
using ConvParameters = std::function<void(float* weights, float* joined, float* bias)>;

// `name` identifies the parameters in the cache. Throws Error when the backend cannot do it.
std::shared_ptr<const PreparedConv<Cpu>> prepare(const Cpu&, const Conv&, const ConvParameters&, const std::string& name,
                                                 PackCache&);
std::shared_ptr<const PreparedConv<Cuda>> prepare(const Cuda&, const Conv&, const ConvParameters&, const std::string& name,
                                                  PackCache&);

// The same without sharing, from arrays that are read here and not kept.
template <typename Device>
std::shared_ptr<const PreparedConv<Device>> prepare(const Device& device, const Conv& conv, const float* weights,
                                                    const float* bias, const float* joined = nullptr) {
  PackCache own;
  const auto copy = [&](float* w, float* j, float* b) {
    std::copy_n(weights, std::size_t(conv.dst.c) * conv.src.c * conv.kernel * conv.kernel, w);
    if (conv.joined.c > 0) std::copy_n(joined, std::size_t(conv.dst.c) * conv.joined.c, j);
    std::copy_n(bias, conv.dst.c, b);
  };
  return prepare(device, conv, copy, "convolution", own);
}

}  // namespace mfs::core
