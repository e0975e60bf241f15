#include "kernels/channel_scale.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    for (const int size : {128, 64}) {
      const Shape shape{v.batch, size, size, 256};
      add("channel_scale " + to_string(shape), v, [=](auto& bench) {
        RotatingTensor src = bench.tensor(shape, v.dtype), residual = bench.tensor(shape, v.dtype);
        RotatingTensor dst = bench.tensor(shape, v.dtype), gate = bench.tensor({shape.n, 1, 1, shape.c}, DType::kF32);
        const auto next = [&] { return ChannelScale{src.next(), gate.next(), residual.next(), true, dst.next()}; };
        bench.measure(cost(next()), v.dtype, [&] { return run(bench.device(), next()); });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
