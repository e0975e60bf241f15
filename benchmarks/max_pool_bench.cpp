#include "kernels/max_pool.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

struct Case {
  int channels, kernel, pad;
};
constexpr Case kCases[] = {{64, 3, 1}, {256, 2, 0}};
// The stem's 64 and the fusion input's 256 channels lie next to each other: one convolution made both.
constexpr int kPitch = 320;

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    for (const Case& c : kCases) {
      const Shape in{v.batch, 256, 256, c.channels}, out{v.batch, 128, 128, c.channels};
      const std::string window = std::to_string(c.kernel) + "x" + std::to_string(c.kernel);
      add("max_pool " + window + "/2 " + to_string(in) + " of 320", v, [=](auto& bench) {
        RotatingTensor src = bench.tensor(in, v.dtype, kPitch), dst = bench.tensor(out, v.dtype);
        const auto next = [&] { return MaxPool{src.next(), c.kernel, 2, c.pad, false, dst.next()}; };
        bench.measure(cost(next()), v.dtype, [&] { return run(bench.device(), next()); });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
