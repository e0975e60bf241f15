#include "kernels/global_average.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, const Shape& shape, DType dtype) {
  RotatingTensor src(shape, dtype), dst({shape.n, 1, 1, shape.c}, DType::kF32);
  GlobalAverage problem{src.next(), dst.next()};
  const AlignedBuffer scratch(scratch_bytes(settings().cpu, problem));
  problem.scratch = reinterpret_cast<float*>(scratch.data());
  measure(state, cost(problem), dtype, [&] {
    problem.src = src.next();
    return run(settings().cpu, problem);
  });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : {Shape{1, 128, 128, 256}, Shape{1, 64, 64, 256}}) {
      add("global_average " + to_string(shape) + " " + name_of(dtype),
          [=](benchmark::State& state) { run_case(state, shape, dtype); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
