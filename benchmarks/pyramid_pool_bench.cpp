#include "kernels/pyramid_pool.h"

#include <vector>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, int channels, DType dtype) {
  RotatingTensor src({1, 64, 64, channels}, dtype);
  std::vector<RotatingTensor> memory;
  std::vector<MutView> grids;
  for (const int bins : {1, 2, 3, 6}) {
    memory.emplace_back(Shape{1, bins, bins, channels}, DType::kF32);
    grids.push_back(memory.back().next());
  }
  PyramidPool problem{src.next(), grids, {}};
  const AlignedBuffer scratch(scratch_bytes(settings().cpu, problem));
  problem.scratch = scratch.span();
  measure(state, cost(problem), dtype, [&] {
    problem.src = src.next();
    return run(settings().cpu, problem);
  });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int channels : {2048, 256}) {
      add("pyramid_pool 1x64x64x" + std::to_string(channels) + " to 1,2,3,6 " + name_of(dtype),
          [=](benchmark::State& state) { run_case(state, channels, dtype); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
