// 2-D convolution with everything that follows it fused: bias (folded batch norm), residual, ReLU.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// The problem: dst = relu?(conv(src) + bias + residual?), cross-correlation as in PyTorch, groups = 1, zero padding.
// NHWC; src, residual and dst share the dtype (f32 or bf16), f32 accumulation; dst's size follows conv_size().
// Pitches are distances between pixels in elements (see View).
struct Conv {
  Shape src, dst;
  int kernel = 1, stride = 1, dilation = 1, pad = 0;
  DType dtype = DType::kF32;
  int src_pitch = 0, dst_pitch = 0, residual_pitch = 0;  // 0 = dense
  bool residual = false, relu = false;

  bool operator==(const Conv&) const = default;
};

constexpr int conv_size(int size, int kernel, int stride, int dilation, int pad) {
  return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

Status check(const Conv&);
Cost cost(const Conv&);

// A problem made ready for one backend: algorithm chosen, weights packed once. Immutable, shareable between threads.
class PreparedConv {
 public:
  virtual ~PreparedConv() = default;
  virtual std::size_t scratch_bytes() const = 0;  // of run(), 64-byte aligned
  virtual const char* algorithm() const = 0;      // for profiles: "jit:avx512_core", "winograd", ...
  // src, residual and dst as the problem says; residual may be dst. Allocates nothing of ours, throws nothing.
  virtual Status run(const Cpu&, const View& src, const View& residual, const MutView& dst, std::byte* scratch) const = 0;
};

// Writes the checkpoint's parameters, batch norm folded: weights (cout, cin, kernel, kernel) dense f32, bias cout floats.
// Called only when no packed copy exists yet.
using ConvParameters = std::function<void(float* weights, float* bias)>;

// Packed weights by name and layout, so that sessions of different image sizes share one copy. Thread-safe; entries live as
// long as a PreparedConv uses them.
struct PackedWeights;
class PackCache {
 public:
  std::shared_ptr<const PackedWeights> get(const std::string& key,
                                           const std::function<std::shared_ptr<const PackedWeights>()>& make);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const PackedWeights>> entries_;
};

// `name` identifies the parameters in the cache. Throws Error when the backend cannot do it.
std::shared_ptr<const PreparedConv> prepare(const Cpu&, const Conv&, const ConvParameters&, const std::string& name,
                                            PackCache&);

// The same without sharing, from arrays that are read here and not kept.
std::shared_ptr<const PreparedConv> prepare(const Cpu&, const Conv&, const float* weights, const float* bias);

}  // namespace mfs::core
