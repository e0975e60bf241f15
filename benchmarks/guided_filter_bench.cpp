#include "kernels/guided_filter.h"

#include "benchmarks/support/bench.h"
#include "runtime/refine.h"

namespace mfs::bench {
namespace {

const bool kRegistered = [] {
  for (const int side : {320 / kRefineStep, 512 / kRefineStep}) {
    add("guided_filter " + std::to_string(side) + "x" + std::to_string(side), [side](auto& bench) {
      RotatingTensor guide = bench.tensor({1, side, side, 4}, DType::kF32),
                     value = bench.tensor({1, side, side, 1}, DType::kF32);
      RotatingTensor dst = bench.tensor({1, side, side, 4}, DType::kF32);
      GuidedFilter problem;
      problem.radius = kRefineRadius, problem.epsilon = kRefineEpsilon;
      const auto next = [&] { problem.guide = guide.next(), problem.value = value.next(), problem.dst = dst.next(); };
      bench.measure_next(problem, DType::kF32, next);
    });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
