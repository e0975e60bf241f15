// Times what is queued on a GPU, several ways of it turn by turn.
#pragma once

#include <functional>
#include <vector>

#include "kernels/cuda/device.h"

namespace mfs::bench {

void require(const core::Status& s);  // throws Error

struct Spread {
  double median = 0, p99 = 0;  // microseconds
};
Spread spread_of(std::vector<double> samples);

using Queue = std::function<core::Status()>;

// Of each of `repeat` runs of every queue, turn by turn, by events in the stream; before them as many as `warm_up` say that do
// not count. Throws Error.
std::vector<Spread> timed(const core::Cuda& cuda, int repeat, const std::vector<Queue>& queues, int warm_up = 10);

}  // namespace mfs::bench
