// Runs a planned network on one device, for one network size and number of photos.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"
#include "runtime/range_statistics.h"

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

// Without a sentence of its own: making one would need memory.
inline Status out_of_memory() { return {Code::kOutOfMemory, {}}; }

struct Timings {
  double prepare = 0, infer = 0, finish = 0;  // milliseconds
};

struct StepInfo {
  std::string name, operation, algorithm;
  Cost cost;
};

// What photos of up to this size need besides the arena.
struct PhotoLimits {
  int width = 0, height = 0;
  bool on_device = false;  // CUDA: photos and outputs are in device memory already
  bool refine = false;     // as set_refining()
};

class Executor {
 public:
  virtual ~Executor() = default;

  // As many requests as photos were planned for. Blocking, host memory. Allocates nothing of ours from the second run at a
  // photo size on, or after reserve(); throws nothing.
  virtual Status run(std::span<const RunRequest> requests) = 0;
  Status run(const RunRequest& request) { return run({&request, 1}); }
  // Device memory; queues only, in `stream`, which may be captured. Memory was reserved before.
  virtual Status enqueue(void* stream, std::span<const RunRequest> requests) = 0;

  // After a blocking run, the logit of one of its photos: dense f32 (1, h, w, 1) in host memory, valid until the next call.
  virtual Status host_logit(std::size_t photo, View& logit) = 0;

  virtual Status reserve(const PhotoLimits& limits) = 0;
  // One blank photo (each) of this size, in memory of the executor's device, awaited.
  virtual Status warm_up(const PhotoLimits& limits) = 0;

  // From now on results are refined (see refine.h). Reserved memory is for one or the other.
  virtual void set_refining(bool on) = 0;
  // From now on runs add to these statistics (null: to none). Only the CPU engine in f32 does.
  virtual void observe(RangeStatistics*) {}

  virtual const Timings& timings() const = 0;  // of the last run
  virtual const std::vector<StepInfo>& steps() const = 0;
  virtual void set_profiling(bool on) = 0;                       // from now on; forgets earlier samples; may throw bad_alloc
  virtual double step_microseconds(std::size_t step) const = 0;  // median over the profiled runs
};

}  // namespace mfs::core
