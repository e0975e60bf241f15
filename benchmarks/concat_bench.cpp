#include "kernels/concat.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// Backbone and fusion features, as a network that cannot place them next to each other would join them.
void run_case(benchmark::State& state, DType dtype) {
  RotatingTensor backbone({1, 64, 64, 2048}, dtype), fusion({1, 64, 64, 256}, dtype), dst({1, 64, 64, 2304}, dtype);
  View srcs[] = {backbone.next(), fusion.next()};
  measure(state, cost(Concat{srcs, dst.next()}), dtype, [&] {
    srcs[0] = backbone.next(), srcs[1] = fusion.next();
    return run(settings().cpu, Concat{srcs, dst.next()});
  });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    add(std::string("concat 1x64x64x(2048+256) ") + name_of(dtype), [=](benchmark::State& state) { run_case(state, dtype); });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
