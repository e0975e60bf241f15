#include "kernels/pyramid_pool.h"

#include <vector>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    for (const int channels : {2048, 256}) {
      const Shape shape{v.batch, 64, 64, channels};
      add("pyramid_pool " + to_string(shape) + " to 1,2,3,6", v, [=](auto& bench) {
        RotatingTensor src = bench.tensor(shape, v.dtype);
        std::vector<RotatingTensor> memory;
        std::vector<MutView> grids;
        for (const int bins : {1, 2, 3, 6}) {
          memory.push_back(bench.tensor({v.batch, bins, bins, channels}, DType::kF32));
          grids.push_back(memory.back().next());
        }
        PyramidPool problem{src.next(), grids, {}};
        bench.measure_next(problem, v.dtype, [&] { problem.src = src.next(); });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
