#include "kernels/conv_gate.h"

namespace mfs::core {

Cost cost(const ConvGate& g) {
  const Shape& dst = g.conv.dst;
  Cost all = cost(g.conv);
  if (g.residual) all.bytes_read += dst.elements() * static_cast<std::int64_t>(size_of(dst_dtype(g.conv)));
  all.bytes_read += std::int64_t{2} * dst.c * g.hidden * 4;
  all.flops += dst.elements() * (g.residual ? 3 : 2) + std::int64_t{4} * dst.n * dst.c * g.hidden;
  return all;
}

}  // namespace mfs::core
