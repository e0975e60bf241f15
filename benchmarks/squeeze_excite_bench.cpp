#include "kernels/squeeze_excite.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    for (const int size : {128, 64, 4}) {  // 4: what is not memory traffic
      const Shape shape{v.batch, size, size, 256};
      add("squeeze_excite " + to_string(shape), v, [=](auto& bench) {
        constexpr int kHidden = 16;
        RotatingTensor src = bench.tensor(shape, v.dtype), residual = bench.tensor(shape, v.dtype);
        RotatingTensor dst = bench.tensor(shape, v.dtype);
        RotatingTensor squeeze = bench.tensor({1, 1, kHidden, shape.c}, DType::kF32);
        RotatingTensor excite = bench.tensor({1, 1, shape.c, kHidden}, DType::kF32);
        const auto floats = [](RotatingTensor& t) { return static_cast<const float*>(t.next().data); };
        SqueezeExcite problem{src.next(),     residual.next(), kHidden, floats(squeeze), nullptr,
                              floats(excite), nullptr,         true,    dst.next(),      {}};
        bench.measure_next(problem, v.dtype, [&] {
          problem.src = src.next(), problem.residual = residual.next(), problem.dst = dst.next();
          problem.squeeze = floats(squeeze), problem.excite = floats(excite);
        });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
