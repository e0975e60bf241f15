#include "kernels/transposed_conv.h"

#include "benchmarks/support/bench.h"
#include "tests/kernels/pool_cases.h"

namespace mfs::bench {
namespace {

// The network's, and one with as many channels as FCN-8s has classes.
const bool kRegistered = [] {
  static const cases::TransposedConvCase kCases[] = {{"upscore2", {1, 16, 16, 1}, 1, 4, 2, 1},
                                                     {"upscore_pool4", {1, 32, 32, 1}, 1, 4, 2, 1},
                                                     {"32x32x32 to 64x64x32", {1, 32, 32, 32}, 32, 4, 2, 1}};
  for (const Variant& v : kVariants) {
    for (const auto& k : kCases) {
      Shape in = k.src;
      in.n = v.batch;
      const Shape out{in.n, transposed_conv_size(in.h, k.kernel, k.stride, k.pad),
                      transposed_conv_size(in.w, k.kernel, k.stride, k.pad), k.cout};
      add(std::string("transposed_conv ") + k.name, v, [=, &k](auto& bench) {
        RotatingTensor src = bench.tensor(in, v.dtype), residual = bench.tensor(out, v.dtype), dst = bench.tensor(out, v.dtype);
        RotatingTensor weights = bench.tensor({k.kernel, k.kernel, in.c, k.cout}, DType::kF32);
        const auto next = [&] {
          return TransposedConv{
              src.next(), static_cast<const float*>(weights.next().data), k.kernel, k.stride, k.pad, residual.next(),
              dst.next()};
        };
        bench.measure(cost(next()), DType::kF32, [&] { return run(bench.device(), next()); });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
