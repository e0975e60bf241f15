#include "kernels/conv_head.h"

namespace mfs::core {

Cost cost(const ConvHead& h) {
  const Shape& dst = h.conv.dst;
  Cost all = cost(h.conv);
  all.bytes_written = dst.pixels() * 4;
  all.bytes_read += dst.c * 4;
  for (const int b : h.bins) all.bytes_read += std::int64_t{dst.n} * b * b * dst.c * 4;
  all.flops += dst.elements() * 7;  // of all priors two multiply-adds and a sum, one for the logit
  return all;
}

}  // namespace mfs::core
