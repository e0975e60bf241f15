#include "kernels/pyramid_head.h"

#include <vector>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

constexpr int kChannels = 512;

void run_case(benchmark::State& state, DType dtype) {
  RotatingTensor features({1, 64, 64, kChannels}, dtype), logit({1, 64, 64, 1}, DType::kF32);
  RotatingTensor weights({1, 1, 1, kChannels}, DType::kF32);
  std::vector<RotatingTensor> memory;
  std::vector<View> priors;
  for (const int bins : {1, 2, 3, 6}) {
    memory.emplace_back(Shape{1, bins, bins, kChannels}, DType::kF32);
    priors.push_back(memory.back().next());
  }
  PyramidHead problem{features.next(), priors, static_cast<const float*>(weights.next().data), 0.1f, true, logit.next(), {}};
  const AlignedBuffer scratch(scratch_bytes(settings().cpu, problem));
  problem.scratch = scratch.span();
  measure(state, cost(problem), DType::kF32, [&] {
    problem.features = features.next();
    return run(settings().cpu, problem);
  });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    add(std::string("pyramid_head 1x64x64x512, priors 1,2,3,6 ") + name_of(dtype),
        [=](benchmark::State& state) { run_case(state, dtype); });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
