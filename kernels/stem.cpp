#include "kernels/stem.h"

namespace mfs::core {

Shape stem_shape(const Stem& s, std::size_t part) { return {s.src.n, s.src.h / 4, s.src.w / 4, s.parts[part].channels}; }

Cost cost(const Stem& s) {
  Cost all;
  for (std::size_t i = 0; i < s.parts.size(); ++i) {
    Conv conv{.src = s.src,
              .dst = {s.src.n, s.src.h / 2, s.src.w / 2, s.parts[i].channels},
              .kernel = 7,
              .stride = 2,
              .pad = 3,
              .dtype = s.dtype};
    Cost part = cost(conv);
    if (i > 0) part.bytes_read -= s.src.elements() * static_cast<std::int64_t>(size_of(s.dtype));
    part.bytes_written = stem_shape(s, i).elements() * static_cast<std::int64_t>(size_of(s.dtype));
    all += part;
  }
  return all;
}

}  // namespace mfs::core
