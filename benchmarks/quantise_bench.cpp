#include "kernels/quantise.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// The residual streams of the network at 512x512, before each block.
constexpr Shape kShapes[] = {{1, 128, 128, 256}, {1, 64, 64, 512}, {1, 64, 64, 1024}};

const bool kRegistered = [] {
  for (const Shape& shape : kShapes)
    add_to(static_cast<const Cpu*>(nullptr), "quantise " + to_string(shape), [=](Bench<Cpu>& bench) {
      RotatingTensor src = bench.tensor(shape, DType::kF32), dst = bench.tensor(shape, DType::kU8);
      const auto next = [&] { return Quantise{src.next(), 0.01f, dst.next()}; };
      bench.measure(cost(next()), DType::kF32, [&] { return run(bench.device(), next()); });
    });
  return true;
}();

}  // namespace
}  // namespace mfs::bench
