// The CUDA engine: lowered operations bound to one arena on the device, replayed as one CUDA graph.
#pragma once

#include <memory>
#include <optional>

#include "kernels/cuda/device.h"
#include "runtime/cuda_steps.h"
#include "runtime/executor.h"
#include "runtime/profile_samples.h"
#include "runtime/workspace.h"

namespace mfs::core {

struct CudaPlanOptions {
  int height = 0, width = 0;  // network size
  DType dtype = DType::kF16;  // of activations and packed weights: f16 or bf16
  CudaDeviceInfo device;
  int host_threads = 1;                      // for the preparation of weights
  bool keep_named_values = false;            // every named value stays readable after a run (tests); costs memory
  int batch = 1;                             // photos per run
  const Calibration* calibration = nullptr;  // with dtype f16: convolutions in int8 or fp8 (see quantisation.h)
  DType narrow = DType::kU8;
  int streams = 1;          // see NetworkOptions
  bool keep_input = false;  // likewise

  NetworkOptions network() const {
    return {height, width, dtype, host_threads, keep_named_values, batch, calibration, narrow, streams, keep_input};
  }
};

class CudaExecutor final : public Executor {
 public:
  // Plans, packs the weights (shared through `packs`), takes its arena from `memory` and records the graph. Throws Error.
  // `file` must outlive the executor.
  CudaExecutor(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options,
               std::shared_ptr<SessionMemory> memory);
  CudaExecutor(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options)
      : CudaExecutor(file, packs, options, std::make_shared<SessionMemory>(memory_of({}))) {}

  static SessionMemory memory_of(std::span<std::byte> callers);
  static SessionBytes bytes_needed(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options,
                                   const PhotoLimits& limits);

  // For photos and results in host memory: they pass through pinned memory.
  using Executor::run;
  Status run(std::span<const RunRequest> requests) override;
  Status enqueue(void* stream, std::span<const RunRequest> requests) override;
  Status host_logit(std::size_t photo, View& logit) override;
  Status reserve(const PhotoLimits& limits) override;
  Status warm_up(const PhotoLimits& limits) override;
  void set_refining(bool on) override { refine_ = on; }
  const Timings& timings() const override { return timings_; }
  const std::vector<StepInfo>& steps() const override { return infos_; }
  void set_profiling(bool on) override;
  double step_microseconds(std::size_t step) const override { return samples_[step].median(); }

  // The network alone, queued: in a captured stream step by step, else as one graph.
  Status queue_infer(const Cuda& cuda) const;
  // Views of device memory; see CpuExecutor.
  View input() const { return network_.input(); }
  View logit() const { return network_.logit(); }
  View named(const std::string& name) const { return network_.named(name); }
  Cuda cuda() const { return stream_.on(device_); }

 private:
  Status queue_prepare(const Cuda& cuda, std::span<const RunRequest> requests) const;
  Status queue_finish(const Cuda& cuda, std::span<const RunRequest> requests) const;
  std::size_t scratch_for_photo(const Cuda& cuda, const ImageView& photo) const;
  Status run_profiled(const Cuda& cuda);
  void record_profiled();  // throws Error

  const WeightsFile& file_;
  CudaDeviceInfo device_;
  CudaStream stream_;
  std::shared_ptr<SessionMemory> memory_;
  PlannedNetwork<Cuda> network_;
  std::shared_ptr<std::byte> arena_;
  std::vector<StepInfo> infos_;
  std::vector<ProfileSamples> samples_;
  std::optional<CudaSteps> steps_;
  CudaGraph graph_;
  std::vector<RunRequest> on_device_;  // of the run under way
  CudaEvent begin_, prepared_, inferred_, finished_;
  CudaGraph profiled_;              // made by the first run that is profiled
  std::vector<CudaEvent> moments_;  // in it: before the first step, and after each
  Timings timings_;
  bool profiling_ = false, refine_ = false;
};

}  // namespace mfs::core
