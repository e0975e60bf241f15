#include "runtime/cpu_executor.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>

#include "layers/network.h"
#include "runtime/memory_plan.h"
#include "runtime/photo_steps.h"
#include "runtime/step_binder.h"

namespace mfs::core {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Packing leaves tens of megabytes of freed temporaries with the allocator; the arena comes next, and peak memory counts.
void return_packing_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace

CpuExecutor::CpuExecutor(const WeightsFile& file, PackCache& packs, const CpuPlanOptions& options)
    : file_(file), cpu_{options.threads} {
  Lowered network = lower(build_network(file, options.height, options.width), {.dtype = options.dtype});
  if (!options.keep_named_values) share_buffers_in_place(network);

  StepBinder<Cpu> binder(file, packs, cpu_, options.threads, network);
  std::vector<std::size_t> scratch;
  for (const LoweredOp& op : network.ops) scratch.push_back(binder.prepare(op));
  return_packing_memory();
  const MemoryPlan memory = plan_memory(network, scratch, options.keep_named_values);
  arena_ = AlignedBuffer(memory.bytes);

  binder.place(arena_.data(), memory);
  for (std::size_t i = 0; i < network.ops.size(); ++i) {
    BoundStep<Cpu> bound = binder.bind(i);
    steps_.push_back({std::move(bound.run), {}});
    infos_.push_back(std::move(bound.info));
  }
  parameters_ = binder.take_parameters();
  input_ = binder.view(network.input);
  logit_ = binder.view(network.output);
  for (const auto& [name, place] : network.named) named_[name] = binder.view(place);
}

Status CpuExecutor::run(const RunRequest& request) {
  auto start = Clock::now();
  if (Status s = prepare(request); !s) return s;
  timings_.prepare = milliseconds_since(start);
  start = Clock::now();
  if (Status s = infer(); !s) return s;
  timings_.infer = milliseconds_since(start);
  start = Clock::now();
  if (Status s = finish(request); !s) return s;
  timings_.finish = milliseconds_since(start);
  return {};
}

Status CpuExecutor::prepare(const RunRequest& request) {
  Preprocess op = preprocess_of(request, file_.preprocess(), input_, {});
  reserve_photo_scratch(scratch_bytes(cpu_, op));
  op.scratch = photo_scratch_.span();
  return core::run(cpu_, op);
}

Status CpuExecutor::infer() {
  if (!profiling_) {
    for (const Step& step : steps_)
      if (Status s = step.run(cpu_); !s) return s;
    return {};
  }
  for (Step& step : steps_) {
    const auto start = Clock::now();
    if (Status s = step.run(cpu_); !s) return s;
    step.samples.push_back(1e3 * milliseconds_since(start));
  }
  return {};
}

Status CpuExecutor::finish(const RunRequest& request) {
  if (!request.mask && !request.probability) return {};
  UpsampleMask op = upsample_of(request, file_.network(), logit_, {});
  reserve_photo_scratch(scratch_bytes(cpu_, op));
  op.scratch = photo_scratch_.span();
  return core::run(cpu_, op);
}

// Grows only: photos of the same size never allocate again.
void CpuExecutor::reserve_photo_scratch(std::size_t bytes) {
  if (bytes > photo_scratch_.size()) photo_scratch_ = AlignedBuffer(bytes);
}

void CpuExecutor::set_profiling(bool on) {
  profiling_ = on;
  for (Step& step : steps_) step.samples.clear();
}

double CpuExecutor::step_microseconds(std::size_t step) const { return median(steps_[step].samples); }

View CpuExecutor::named(const std::string& name) const {
  const auto it = named_.find(name);
  return it == named_.end() ? View{} : it->second;
}

}  // namespace mfs::core
