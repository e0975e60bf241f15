#include "kernels/resize_bilinear.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// The fusion features of a network with a ceil-mode stem, brought to the backbone's size.
const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    const Shape in{v.batch, 64, 64, 256}, out{v.batch, 65, 65, 256};
    add("resize_bilinear " + to_string(in) + " to 65x65", v, [=](auto& bench) {
      RotatingTensor src = bench.tensor(in, v.dtype), dst = bench.tensor(out, v.dtype);
      const auto next = [&] { return ResizeBilinear{src.next(), true, dst.next()}; };
      bench.measure(cost(next()), DType::kF32, [&] { return run(bench.device(), next()); });
    });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
