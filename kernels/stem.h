// The beginning of the network in one kernel on Hopper GPUs: the stem's 7x7 convolution at stride 2 and that of the fusion
// branch's init, with bias (folded batch norm) and ReLU, each followed by max pooling. What is pooled, four times as much as
// what comes out, never reaches memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/conv.h"
#include "kernels/cost.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

inline constexpr std::size_t kMostStemParts = 2;

// Output channels that are pooled alike: 2x2 at stride 2 (pool 2) or 3x3 at stride 2 with padding 1 (pool 3).
struct StemPart {
  int channels = 0, pool = 2;
};

// Of part i: dst[i] (n, h / 4, w / 4, channels) = max_pool(relu(conv(src) + bias)). src n x h x w x 4, dense, f16 or bf16, h
// and w multiples of 4; dst of the same type, any pitch; f32 accumulation, one rounding.
struct Stem {
  Shape src;
  DType dtype = DType::kF16;
  std::vector<StemPart> parts;  // 1 to kMostStemParts
};

Shape stem_shape(const Stem&, std::size_t part);  // of dst
Cost cost(const Stem&);

class PreparedStem {
 public:
  virtual ~PreparedStem() = default;
  virtual const std::string& algorithm() const = 0;  // for profiles: "hopper, 3 rows"
  // 16-byte aligned. Allocates nothing of ours, throws nothing.
  virtual Status run(const Cuda&, const View& src, std::span<const MutView> dst) const = 0;
};

// Whether there is such a kernel: capability 9.0, and the problem as above with channels in multiples of 8.
bool has_stem(const Cuda&, const Stem&);

// Parameters as for a convolution of all parts' channels. Throws Error where there is no such kernel.
std::shared_ptr<const PreparedStem> prepare_stem(const Cuda&, const Stem&, const ConvParameters&, const std::string& name,
                                                 PackCache&);

}  // namespace mfs::core
