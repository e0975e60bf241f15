// The choice between the two convolution algorithms of the CPU.
#include <algorithm>

#include "kernels/conv.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/onednn.h"
#include "kernels/error.h"

namespace mfs::core {

std::shared_ptr<const PreparedConv> prepare(const Cpu& cpu, const Conv& conv, const ConvParameters& parameters,
                                            const std::string& name, PackCache& cache) {
  if (const Status s = check(conv); !s) throw Error(s.code(), s.message());
  return winograd_pays(conv) ? prepare_winograd(cpu, conv, parameters, name, cache)
                             : prepare_direct(cpu, conv, parameters, name, cache);
}

std::shared_ptr<const PreparedConv> prepare(const Cpu& cpu, const Conv& conv, const float* weights, const float* bias) {
  PackCache own;
  const auto copy = [&](float* w, float* b) {
    std::copy_n(weights, std::size_t(conv.dst.c) * conv.src.c * conv.kernel * conv.kernel, w);
    std::copy_n(bias, conv.dst.c, b);
  };
  return prepare(cpu, conv, copy, "convolution", own);
}

}  // namespace mfs::core
