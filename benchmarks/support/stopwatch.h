// Times an operation of one device again and again.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/status.h"

namespace mfs::bench {

// A function that runs an operation once, on other data at every call, or queues it.
using Operation = std::function<core::Status()>;

class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  virtual double seconds() = 0;  // of one run of the operation; throws Error
};

// Wall time of a call.
std::unique_ptr<Stopwatch> stopwatch(const core::Cpu&, std::int64_t bytes, Operation operation);

// Many calls in a row in a CUDA graph, which hides launches, timed by events: as many as together touch `bytes` each of a
// multiple of the L2, within reason, so that a repetition does not find its data there.
std::unique_ptr<Stopwatch> stopwatch(const core::Cuda&, std::int64_t bytes, Operation operation);

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double median(std::vector<double> values);

}  // namespace mfs::bench
