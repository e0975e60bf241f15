// What we use oneDNN for: direct convolution, and the batched matrix product inside Winograd convolution.
#pragma once

#include <memory>
#include <string>

#include "kernels/conv.h"

namespace mfs::core {

std::shared_ptr<const PreparedConv<Cpu>> prepare_direct(const Cpu&, const Conv&, const ConvParameters&, const std::string& name,
                                                        PackCache&);

// dst[b] = src[b] x weights[b] for every b: src (batch, rows, inner) f32 or bf16, weights packed from (batch, inner, outer),
// dst (batch, rows, outer) f32; all dense.
class BatchedMatmul {
 public:
  struct Problem {
    int batch = 1, rows = 1, inner = 1, outer = 1;
    DType dtype = DType::kF32;
  };
  virtual ~BatchedMatmul() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual const float* bias() const = 0;  // `outer` floats, kept with the packed weights
  virtual Status run(const Cpu&, const void* src, float* dst, std::byte* scratch) const = 0;
};

// `parameters` writes weights (batch, inner, outer) f32 and the bias.
std::shared_ptr<const BatchedMatmul> prepare_matmul(const Cpu&, const BatchedMatmul::Problem&, const ConvParameters& parameters,
                                                    const std::string& name, PackCache&);

}  // namespace mfs::core
