#include "kernels/pyramid_head.h"

#include <vector>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

constexpr int kChannels = 512;

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    const Shape shape{v.batch, 64, 64, kChannels};
    add("pyramid_head " + to_string(shape) + ", priors 1,2,3,6", v, [=](auto& bench) {
      RotatingTensor features = bench.tensor(shape, v.dtype), logit = bench.tensor({v.batch, 64, 64, 1}, DType::kF32);
      RotatingTensor weights = bench.tensor({1, 1, 1, kChannels}, DType::kF32);
      std::vector<RotatingTensor> memory;
      std::vector<View> priors;
      for (const int bins : {1, 2, 3, 6}) {
        memory.push_back(bench.tensor({v.batch, bins, bins, kChannels}, DType::kF32));
        priors.push_back(memory.back().next());
      }
      PyramidHead problem{features.next(), priors, static_cast<const float*>(weights.next().data), 0.1f, true,
                          logit.next(),    {}};
      bench.measure_next(problem, DType::kF32, [&] { problem.features = features.next(); });
    });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
