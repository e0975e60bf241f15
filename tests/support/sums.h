// Sums over parts of images that a convolution writes beside its result.
#pragma once

#include <doctest/doctest.h>

#include "kernels/conv.h"
#include "tests/support/compare.h"

namespace mfs::core::test {

inline Shape sums_shape(const Cuda& device, const Conv& p) {
  return p.sums ? Shape{p.dst.n, 1, sum_parts(device, p), p.dst.c} : Shape{};
}
inline Shape sums_shape(const Cpu&, const Conv&) { return {}; }

// The parts together, against the pixels of dst: as many additions as there are pixels. Of integers they are exact, which a
// bound far below 1 shows as well.
inline void check_sums(const Tensor& sums, const Tensor& dst) {
  const Shape& s = dst.shape();
  Diff diff;
  for (int n = 0; n < s.n; ++n) {
    for (int c = 0; c < s.c; ++c) {
      double sum = 0, magnitude = 0, of_parts = 0;
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x) sum += dst.at(n, y, x, c), magnitude += std::abs(dst.at(n, y, x, c));
      for (int part = 0; part < sums.shape().w; ++part) of_parts += sums.at(n, 0, part, c);
      diff.add(of_parts, {sum, s.h * s.w * kEps * magnitude}, n, 0, 0, c);
    }
  }
  CHECK_MESSAGE(static_cast<bool>(diff), diff);
  CHECK(sums.canaries_intact());
}

}  // namespace mfs::core::test
