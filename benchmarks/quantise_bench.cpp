#include "kernels/quantise.h"

#include <type_traits>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// The residual streams of the network at 512x512, before each block.
constexpr Shape kShapes[] = {{1, 128, 128, 256}, {1, 64, 64, 512}, {1, 64, 64, 1024}};

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    for (Shape shape : kShapes) {
      shape.n = v.batch;
      const auto body = [=](auto& bench) {
        RotatingTensor src = bench.tensor(shape, v.dtype), dst = bench.tensor(shape, DType::kU8);
        const auto next = [&] { return Quantise{src.next(), 0.01f, dst.next()}; };
        bench.measure(cost(next()), v.dtype, [&] { return run(bench.device(), next()); });
      };
      const auto possible = [dtype = v.dtype](const auto& device) {
        return std::is_same_v<decltype(device), const Cuda&> || dtype == DType::kF32;
      };
      add("quantise " + to_string(shape), v, body, possible);
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
