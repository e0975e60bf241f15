#include "kernels/max_pool.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// The stem's 64 and the fusion input's 256 channels lie next to each other: one convolution made both.
constexpr int kPitch = 320;

void run_case(benchmark::State& state, int channels, int kernel, int pad, DType dtype) {
  RotatingTensor src({1, 256, 256, channels}, dtype, kPitch), dst({1, 128, 128, channels}, dtype);
  const auto next = [&] { return MaxPool{src.next(), kernel, 2, pad, false, dst.next()}; };
  measure(state, cost(next()), dtype, [&] { return run(settings().cpu, next()); });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    add(std::string("max_pool 3x3/2 1x256x256x64 of 320 ") + name_of(dtype),
        [=](benchmark::State& state) { run_case(state, 64, 3, 1, dtype); });
    add(std::string("max_pool 2x2/2 1x256x256x256 of 320 ") + name_of(dtype),
        [=](benchmark::State& state) { run_case(state, 256, 2, 0, dtype); });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
