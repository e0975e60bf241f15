// The CPU engine: lowered operations bound to one arena, run in order.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "kernels/conv.h"
#include "kernels/preprocess.h"
#include "runtime/aligned_buffer.h"
#include "runtime/executor.h"
#include "runtime/step_binder.h"
#include "weights/weights_file.h"

namespace mfs::core {

struct CpuPlanOptions {
  int height = 0, width = 0;  // network size
  DType dtype = DType::kF32;  // of activations and packed weights
  int threads = 1;
  bool keep_named_values = false;  // every named value stays readable after a run (parity tests); costs memory
};

class CpuExecutor final : public Executor {
 public:
  // Plans, packs the weights (shared through `packs`) and allocates. Throws Error. `file` must outlive the executor.
  CpuExecutor(const WeightsFile& file, PackCache& packs, const CpuPlanOptions& options);

  Status run(const RunRequest& request) override;
  const Timings& timings() const override { return timings_; }
  std::size_t memory_bytes() const override { return arena_.size() + photo_scratch_.size(); }
  const std::vector<StepInfo>& steps() const override { return infos_; }
  void set_profiling(bool on) override;
  double step_microseconds(std::size_t step) const override;

  View input() const { return input_; }
  View logit() const { return logit_; }
  // "stem", "layer3", "fusion.1", ...; an empty view if fusion left no such value. Readable with keep_named_values.
  View named(const std::string& name) const;

 private:
  struct Step {
    std::function<Status(const Cpu&)> run;
    std::vector<double> samples;  // microseconds
  };

  Status prepare(const RunRequest& request);
  Status infer();
  Status finish(const RunRequest& request);
  void reserve_photo_scratch(std::size_t bytes);

  const WeightsFile& file_;
  Cpu cpu_;
  AlignedBuffer arena_, photo_scratch_;
  Parameters parameters_;
  std::vector<Step> steps_;
  std::vector<StepInfo> infos_;
  std::map<std::string, View> named_;
  MutView input_, logit_;
  Timings timings_;
  bool profiling_ = false;
};

}  // namespace mfs::core
