#include "kernels/transposed_conv.h"

#include "benchmarks/support/bench.h"
#include "tests/kernels/pool_cases.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, const cases::TransposedConvCase& k, DType dtype) {
  const Shape out{k.src.n, transposed_conv_size(k.src.h, k.kernel, k.stride, k.pad),
                  transposed_conv_size(k.src.w, k.kernel, k.stride, k.pad), k.cout};
  RotatingTensor src(k.src, dtype), residual(out, dtype), dst(out, dtype);
  RotatingTensor weights({k.kernel, k.kernel, k.src.c, k.cout}, DType::kF32);
  const auto next = [&] {
    return TransposedConv{
        src.next(), static_cast<const float*>(weights.next().data), k.kernel, k.stride, k.pad, residual.next(), dst.next()};
  };
  measure(state, cost(next()), DType::kF32, [&] { return run(settings().cpu, next()); });
}

// The network's, and one with as many channels as FCN-8s has classes.
const bool kRegistered = [] {
  static const cases::TransposedConvCase kCases[] = {{"upscore2", {1, 16, 16, 1}, 1, 4, 2, 1},
                                                     {"upscore_pool4", {1, 32, 32, 1}, 1, 4, 2, 1},
                                                     {"32x32x32 to 64x64x32", {1, 32, 32, 32}, 32, 4, 2, 1}};
  for (const auto& k : kCases)
    for (const DType dtype : {DType::kF32, DType::kBF16})
      add(std::string("transposed_conv ") + k.name + " " + name_of(dtype),
          [&k, dtype](benchmark::State& state) { run_case(state, k, dtype); });
  return true;
}();

}  // namespace
}  // namespace mfs::bench
