#include "runtime/cpu_executor.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>

#include "runtime/photo_steps.h"

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

std::size_t scratch_for(const Cpu& cpu, const WeightsFile& file, const PhotoLimits& limits, const View& input,
                        const View& logit) {
  return photo_scratch(cpu, file.preprocess(), file.network(), limits, input, logit);
}

}  // namespace

SessionMemory CpuExecutor::memory_of(std::span<std::byte> callers) {
  const Workspace main = callers.empty() ? Workspace(allocate_host) : Workspace(callers);
  return {main, Workspace(allocate_host)};
}

SessionBytes CpuExecutor::bytes_needed(const WeightsFile& file, PackCache& packs, const NetworkOptions& options,
                                       const PhotoLimits& limits) {
  const Cpu cpu{options.host_threads};
  const PlannedNetwork<Cpu> network(file, packs, cpu, options);
  const std::size_t photos = limits.width ? scratch_for(cpu, file, limits, network.input(), network.logit()) : 0;
  return {Workspace::bytes_for(network.arena_bytes(), photos), 0};
}

CpuExecutor::CpuExecutor(const WeightsFile& file, PackCache& packs, const NetworkOptions& options,
                         std::shared_ptr<SessionMemory> memory)
    : file_(file), cpu_{options.host_threads}, memory_(std::move(memory)), network_(file, packs, cpu_, options) {
  return_packing_memory();
  arena_ = memory_->main.arena(network_.arena_bytes());
  network_.place(arena_.get());
  for (const BoundStep<Cpu>& step : network_.steps()) infos_.push_back(step.info);
  samples_.resize(infos_.size());
  input_ = network_.input(), logit_ = network_.logit();
}

Status CpuExecutor::run(std::span<const RunRequest> requests) {
  auto start = Clock::now();
  if (Status s = prepare(requests); !s) return s;
  timings_.prepare = milliseconds_since(start);
  start = Clock::now();
  if (Status s = infer(); !s) return s;
  timings_.infer = milliseconds_since(start);
  if (statistics_) statistics_->count_photos(static_cast<int>(requests.size()));
  start = Clock::now();
  if (Status s = finish(requests); !s) return s;
  timings_.finish = milliseconds_since(start);
  return {};
}

Status CpuExecutor::enqueue(void*, std::span<const RunRequest>) {
  return {Code::kUnsupported, "only a CUDA session can enqueue; on the CPU a run is blocking"};
}

Status CpuExecutor::host_logit(std::size_t photo, View& logit) {
  logit = image_of(logit_, photo);
  return {};
}

Status CpuExecutor::reserve(const PhotoLimits& limits) {
  return status_of([&] { memory_->main.reserve(scratch_for(cpu_, file_, limits, input_, logit_)); });
}

Status CpuExecutor::warm_up(const PhotoLimits& limits) {
  const std::size_t pixels = static_cast<std::size_t>(limits.width) * static_cast<std::size_t>(limits.height);
  return status_of([&] {
    const std::vector<std::uint8_t> photo(pixels);
    std::vector<std::uint8_t> mask(pixels);
    std::vector<float> probability(pixels);
    const Point tap{0, 0};
    const RunRequest blank{.image = {photo.data(), limits.width, limits.height, limits.width, PixelFormat::kGrey},
                           .taps = {&tap, 1},
                           .mask = mask.data(),
                           .mask_stride = limits.width,
                           .probability = probability.data(),
                           .probability_stride = std::int64_t{limits.width} * static_cast<std::int64_t>(sizeof(float))};
    const std::vector<RunRequest> requests(static_cast<std::size_t>(input_.shape.n), blank);
    RangeStatistics* const observed = std::exchange(statistics_, nullptr);  // by nobody: it is no photo
    const Status s = run(requests);
    statistics_ = observed;
    if (!s) throw Error(s.code(), s.message());
  });
}

Status CpuExecutor::prepare(std::span<const RunRequest> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RunRequest& r = requests[i];
    if (Status s = reserve({r.image.width, r.image.height, false, refine_}); !s) return s;
    const Preprocess op = preprocess_of(r, file_.preprocess(), image_of(input_, i), memory_->main.photos());
    if (Status s = core::run(cpu_, op); !s) return s;
  }
  return {};
}

Status CpuExecutor::infer() {
  const std::vector<BoundStep<Cpu>>& steps = network_.steps();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto start = profiling_ ? Clock::now() : Clock::time_point();
    if (Status s = steps[i].run(cpu_); !s) return s;
    if (profiling_) samples_[i].add(1e3 * milliseconds_since(start));
    if (!statistics_) continue;
    if (Status s = status_of([&] { observe_step(i); }); !s) return s;
  }
  return {};
}

void CpuExecutor::observe(RangeStatistics* into) {
  statistics_ = into;
  observed_ = into ? quantised_values(network_.lowered()) : std::vector<QuantisedValue>();
}

// Before a later step reuses the memory.
void CpuExecutor::observe_step(std::size_t step) {
  for (const QuantisedValue& v : observed_)
    if (v.writer == step) statistics_->add(v.name, network_.view(access_of(network_.lowered().ops[step].step).writes.front()));
}

Status CpuExecutor::finish(std::span<const RunRequest> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].mask && !requests[i].probability) continue;
    if (Status s = finish_photo(cpu_, requests[i], file_.network(), refine_, image_of(input_, i), image_of(logit_, i),
                                memory_->main.photos());
        !s)
      return s;
  }
  return {};
}

void CpuExecutor::set_profiling(bool on) {
  profiling_ = on;
  for (ProfileSamples& s : samples_) s.start();
}

}  // namespace mfs::core
