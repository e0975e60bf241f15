#include "kernels/resize_bilinear.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// The fusion features of a network with a ceil-mode stem, brought to the backbone's size.
void run_case(benchmark::State& state, DType dtype) {
  RotatingTensor src({1, 64, 64, 256}, dtype), dst({1, 65, 65, 256}, dtype);
  const auto next = [&] { return ResizeBilinear{src.next(), true, dst.next()}; };
  measure(state, cost(next()), DType::kF32, [&] { return run(settings().cpu, next()); });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    add(std::string("resize_bilinear 1x64x64x256 to 65x65 ") + name_of(dtype),
        [=](benchmark::State& state) { run_case(state, dtype); });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
