#include "kernels/global_average.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    for (const int size : {128, 64}) {
      const Shape shape{v.batch, size, size, 256};
      add("global_average " + to_string(shape), v, [=](auto& bench) {
        RotatingTensor src = bench.tensor(shape, v.dtype), dst = bench.tensor({shape.n, 1, 1, shape.c}, DType::kF32);
        GlobalAverage problem{src.next(), dst.next()};
        const Memory scratch = bench.memory(scratch_bytes(bench.device(), problem));
        problem.scratch = reinterpret_cast<float*>(scratch.data());
        bench.measure(cost(problem), v.dtype, [&] {
          problem.src = src.next();
          return run(bench.device(), problem);
        });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
