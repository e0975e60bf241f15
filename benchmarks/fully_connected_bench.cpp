#include "kernels/fully_connected.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

struct Case {
  int k, m;
  Activation activation;
  const char* text;
};
constexpr Case kCases[] = {{256, 16, Activation::kRelu, "256->16 relu"}, {16, 256, Activation::kSigmoid, "16->256 sigmoid"}};

const bool kRegistered = [] {
  for (const Case& c : kCases) {
    add(std::string("fully_connected ") + c.text + " f32", [=](auto& bench) {
      RotatingTensor src = bench.tensor({1, 1, 1, c.k}, DType::kF32), dst = bench.tensor({1, 1, 1, c.m}, DType::kF32);
      RotatingTensor bias = bench.tensor({1, 1, 1, c.m}, DType::kF32), weights = bench.tensor({1, 1, c.m, c.k}, DType::kF32);
      const auto next = [&] {
        return FullyConnected{src.next(), static_cast<const float*>(weights.next().data),
                              static_cast<const float*>(bias.next().data), c.activation, dst.next()};
      };
      bench.measure(cost(next()), DType::kF32, [&] { return run(bench.device(), next()); });
    });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
