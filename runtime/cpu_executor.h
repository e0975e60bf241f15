// The CPU engine: lowered operations bound to one arena, run in order.
#pragma once

#include <memory>

#include "runtime/executor.h"
#include "runtime/planned_network.h"
#include "runtime/profile_samples.h"
#include "runtime/quantisation.h"
#include "runtime/workspace.h"

namespace mfs::core {

class CpuExecutor final : public Executor {
 public:
  // Plans, packs the weights (shared through `packs`) and takes its arena from `memory`. Throws Error. `file` must outlive the
  // executor.
  CpuExecutor(const WeightsFile& file, PackCache& packs, const NetworkOptions& options, std::shared_ptr<SessionMemory> memory);
  CpuExecutor(const WeightsFile& file, PackCache& packs, const NetworkOptions& options)
      : CpuExecutor(file, packs, options, std::make_shared<SessionMemory>(memory_of({}))) {}

  // The session's own memory, or the caller's.
  static SessionMemory memory_of(std::span<std::byte> callers);
  // What an executor would take from it.
  static SessionBytes bytes_needed(const WeightsFile& file, PackCache& packs, const NetworkOptions& options,
                                   const PhotoLimits& limits);

  using Executor::run;
  Status run(std::span<const RunRequest> requests) override;
  Status enqueue(void* stream, std::span<const RunRequest> requests) override;
  Status host_logit(std::size_t photo, View& logit) override;
  Status reserve(const PhotoLimits& limits) override;
  Status warm_up(const PhotoLimits& limits) override;
  void set_refining(bool on) override { refine_ = on; }
  void observe(RangeStatistics* into) override;
  const Timings& timings() const override { return timings_; }
  const std::vector<StepInfo>& steps() const override { return infos_; }
  void set_profiling(bool on) override;
  double step_microseconds(std::size_t step) const override { return samples_[step].median(); }

  View input() const { return input_; }
  View logit() const { return logit_; }
  // "stem", "layer3", "fusion.1", ...; an empty view if fusion left no such value. Readable with keep_named_values.
  View named(const std::string& name) const { return network_.named(name); }

 private:
  Status prepare(std::span<const RunRequest> requests);
  Status infer();
  void observe_step(std::size_t step);
  Status finish(std::span<const RunRequest> requests);

  const WeightsFile& file_;
  Cpu cpu_;
  std::shared_ptr<SessionMemory> memory_;
  PlannedNetwork<Cpu> network_;
  std::shared_ptr<std::byte> arena_;
  std::vector<StepInfo> infos_;
  std::vector<ProfileSamples> samples_;
  MutView input_, logit_;
  RangeStatistics* statistics_ = nullptr;
  std::vector<QuantisedValue> observed_;
  Timings timings_;
  bool profiling_ = false, refine_ = false;
};

}  // namespace mfs::core
