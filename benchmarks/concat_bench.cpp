#include "kernels/concat.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// Backbone and fusion features, as a network that cannot place them next to each other would join them.
const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    add("concat " + std::to_string(v.batch) + "x64x64x(2048+256)", v, [=](auto& bench) {
      RotatingTensor backbone = bench.tensor({v.batch, 64, 64, 2048}, v.dtype);
      RotatingTensor fusion = bench.tensor({v.batch, 64, 64, 256}, v.dtype),
                     dst = bench.tensor({v.batch, 64, 64, 2304}, v.dtype);
      View srcs[] = {backbone.next(), fusion.next()};
      bench.measure(cost(Concat{srcs, dst.next()}), v.dtype, [&] {
        srcs[0] = backbone.next(), srcs[1] = fusion.next();
        return run(bench.device(), Concat{srcs, dst.next()});
      });
    });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
