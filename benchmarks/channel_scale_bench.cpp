#include "kernels/channel_scale.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, const Shape& shape, DType dtype) {
  RotatingTensor src(shape, dtype), residual(shape, dtype), dst(shape, dtype), gate({shape.n, 1, 1, shape.c}, DType::kF32);
  const auto next = [&] { return ChannelScale{src.next(), gate.next(), residual.next(), true, dst.next()}; };
  measure(state, cost(next()), dtype, [&] { return run(settings().cpu, next()); });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : {Shape{1, 128, 128, 256}, Shape{1, 64, 64, 256}}) {
      add("channel_scale " + to_string(shape) + " " + name_of(dtype),
          [=](benchmark::State& state) { run_case(state, shape, dtype); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
