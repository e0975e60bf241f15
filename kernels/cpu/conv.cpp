// The choice between the two convolution algorithms of the CPU.
#include "kernels/conv.h"

#include "kernels/check.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/onednn.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

Status check_on_cpu(const Conv& conv) {
  if (Status s = check(conv); !s) return s;
  if (conv.dtype == DType::kF16) return refuse_f16_on_cpu("conv");
  if (conv.dtype == DType::kE4m3) return refuse("conv", "the CPU engine has no fp8");
  if (!has_conv(Cpu{}, conv.dtype)) return refuse("conv", "bf16 needs a processor with AVX-512; f32 works on all");
  if (conv.dtype == DType::kU8 && conv.wide != DType::kF32)
    return refuse("conv", std::string("the wide type is ") + name_of(conv.wide) + "; the CPU engine's is f32");
  if (conv.copy_scale != 0) return refuse("conv", "the CPU engine writes no copies");
  if (conv.sums) return refuse("conv", "the CPU engine writes no sums");
  if (conv.joined.c > 0) return refuse("conv", "the CPU engine has no convolution of two sources");
  return {};
}

}  // namespace

std::shared_ptr<const PreparedConv<Cpu>> prepare(const Cpu& cpu, const Conv& conv, const ConvParameters& parameters,
                                                 const std::string& name, PackCache& cache) {
  if (const Status s = check_on_cpu(conv); !s) throw Error(s.code(), s.message());
  return winograd_pays(conv) ? prepare_winograd(cpu, conv, parameters, name, cache)
                             : prepare_direct(cpu, conv, parameters, name, cache);
}

}  // namespace mfs::core
