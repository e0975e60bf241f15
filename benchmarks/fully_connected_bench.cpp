#include "kernels/fully_connected.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, int k, int m, Activation activation) {
  RotatingTensor src({1, 1, 1, k}, DType::kF32), dst({1, 1, 1, m}, DType::kF32), bias({1, 1, 1, m}, DType::kF32);
  RotatingTensor weights({1, 1, m, k}, DType::kF32);
  const auto next = [&] {
    return FullyConnected{src.next(), static_cast<const float*>(weights.next().data),
                          static_cast<const float*>(bias.next().data), activation, dst.next()};
  };
  measure(state, cost(next()), DType::kF32, [&] { return run(settings().cpu, next()); });
}

const bool kRegistered = [] {
  add("fully_connected 256->16 relu f32", [](benchmark::State& state) { run_case(state, 256, 16, Activation::kRelu); });
  return add("fully_connected 16->256 sigmoid f32",
             [](benchmark::State& state) { run_case(state, 16, 256, Activation::kSigmoid); });
}();

}  // namespace
}  // namespace mfs::bench
