// The CUDA engine: lowered operations bound to one arena on the device, replayed as one CUDA graph.
#pragma once

#include <map>

#include "kernels/cuda/device.h"
#include "runtime/executor.h"
#include "runtime/step_binder.h"

namespace mfs::core {

struct CudaPlanOptions {
  int height = 0, width = 0;  // network size
  DType dtype = DType::kF16;  // of activations and packed weights: f16 or bf16
  CudaDeviceInfo device;
  int host_threads = 1;            // for the preparation of weights
  bool keep_named_values = false;  // every named value stays readable after a run (tests); costs memory
};

class CudaExecutor final : public Executor {
 public:
  // Plans, packs the weights (shared through `packs`), allocates and records the graph. Throws Error. `file` must outlive the
  // executor.
  CudaExecutor(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options);

  // Blocking, for photos and results in host memory: they pass through pinned memory of the executor.
  Status run(const RunRequest& request) override;

  // The parts, for callers with device memory: all three only queue work in the stream, which may be captured. `request` holds
  // device pointers; its scratch and the executor's own buffers belong to one run at a time.
  Status queue_prepare(const Cuda& cuda, const RunRequest& request);
  Status queue_infer(const Cuda& cuda);
  Status queue_finish(const Cuda& cuda, const RunRequest& request);
  // Memory for queue_prepare and queue_finish at a photo size; allocates when the size grows, and must not be called while a
  // run is under way.
  Status reserve(const RunRequest& request);

  const Timings& timings() const override { return timings_; }
  std::size_t memory_bytes() const override;
  const std::vector<StepInfo>& steps() const override { return infos_; }
  void set_profiling(bool on) override;
  double step_microseconds(std::size_t step) const override;

  // Views of device memory; see CpuExecutor.
  View input() const { return input_; }
  View logit() const { return logit_; }
  View named(const std::string& name) const;
  Cuda cuda() const { return stream_.on(device_); }

 private:
  struct Step {
    std::function<Status(const Cuda&)> run;
    std::vector<double> samples;  // microseconds
  };
  // Photo and results on their way between host and device. Grown, never shrunk.
  struct Staging {
    CudaMemory host_photo, photo, host_mask, mask, host_probability, probability, scratch;
  };

  Status stage(const RunRequest& request, RunRequest& on_device);
  Status run_steps(const Cuda& cuda) const;
  Status run_profiled(const Cuda& cuda);
  void return_results(const RunRequest& request) const;

  const WeightsFile& file_;
  CudaDeviceInfo device_;
  CudaStream stream_;
  CudaMemory arena_;
  Parameters parameters_;
  std::vector<Step> steps_;
  std::vector<StepInfo> infos_;
  std::map<std::string, View> named_;
  MutView input_, logit_;
  CudaGraph graph_;
  Staging staging_;
  CudaEvent begin_, prepared_, inferred_, finished_;
  Timings timings_;
  bool profiling_ = false;
};

}  // namespace mfs::core
