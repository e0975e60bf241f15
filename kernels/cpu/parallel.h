// The one way our CPU kernels use threads: a range cut into one contiguous piece per thread.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/backend.h"

namespace mfs::core {

// Calls body(begin, end, thread) on up to cpu.threads threads; pieces are in order and nearly equal, so results do not depend
// on timing. body must not throw.
template <typename Body>
void parallel_ranges(const Cpu& cpu, std::int64_t count, const Body& body) {
  const int threads = static_cast<int>(std::clamp<std::int64_t>(count, 1, std::max(cpu.threads, 1)));
  if (threads == 1) return body(std::int64_t{0}, count, 0);
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t t = omp_get_thread_num(), n = omp_get_num_threads();
    const std::int64_t begin = count * t / n, end = count * (t + 1) / n;
    if (begin < end) body(begin, end, static_cast<int>(t));
  }
}

}  // namespace mfs::core
