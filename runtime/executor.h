// Runs a planned network on one device for one network size.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// Outputs of the photo's size; null means "not this"; strides in bytes.
struct RunRequest {
  ImageView image;
  std::span<const Point> taps;
  std::uint8_t* mask = nullptr;
  std::int64_t mask_stride = 0;
  float* probability = nullptr;
  std::int64_t probability_stride = 0;
  float threshold = 0.5f;
};

struct Timings {
  double prepare = 0, infer = 0, finish = 0;  // milliseconds
};

// 0 for no samples.
inline double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::ranges::nth_element(samples, middle);
  return *middle;
}

struct StepInfo {
  std::string name, operation, algorithm;
  Cost cost;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Blocking. Allocates nothing of ours from the second run at a photo size on.
  virtual Status run(const RunRequest& request) = 0;

  virtual const Timings& timings() const = 0;    // of the last run
  virtual std::size_t memory_bytes() const = 0;  // arena and scratch
  virtual const std::vector<StepInfo>& steps() const = 0;
  virtual void set_profiling(bool on) = 0;                       // from now on; forgets earlier samples
  virtual double step_microseconds(std::size_t step) const = 0;  // median over the profiled runs
};

}  // namespace mfs::core
