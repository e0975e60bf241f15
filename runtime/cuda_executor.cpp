#include "runtime/cuda_executor.h"

#include "kernels/cuda/device_scope.h"
#include "kernels/error.h"
#include "runtime/cuda_staging.h"
#include "runtime/photo_steps.h"

namespace mfs::core {
namespace {

template <MemoryKind kKind>
std::shared_ptr<std::byte> allocate(std::size_t bytes) {
  auto memory = std::make_shared<CudaMemory>(kKind, bytes);
  return {memory, memory->data()};
}

const CudaDeviceInfo& selected(const CudaDeviceInfo& device) {
  if (const Status s = select_device(device.index); !s) throw Error(s.code(), s.message());
  return device;
}

std::size_t scratch_for(const Cuda& cuda, const WeightsFile& file, const PhotoLimits& limits, const View& input,
                        const View& logit) {
  return photo_scratch(cuda, file.preprocess(), file.network(), limits, input, logit);
}

std::size_t bytes_of_one(const View& batch) { return static_cast<std::size_t>(image_of(batch, 0).bytes()); }

// Scratch and, unless photos are on the device already, photos of the largest kind with both results, a batch of them. The
// logit of one is read through the same pinned memory.
SessionBytes bytes_for(std::size_t scratch, const PhotoLimits& limits, const View& logit) {
  if (limits.on_device) return {scratch, 0};
  const std::int64_t pixels = std::int64_t{limits.width} * limits.height;
  StagingCutter device(scratch), pinned(0);
  for (int i = 0; i < logit.shape.n; ++i)
    for (StagingCutter* cut : {&device, &pinned}) cut->take(4 * pixels, pixels, 4 * pixels);
  return {device.used(), std::max(pinned.used(), bytes_of_one(logit))};
}

}  // namespace

std::shared_ptr<std::byte> allocate_device(std::size_t bytes) { return allocate<MemoryKind::kDevice>(bytes); }
std::shared_ptr<std::byte> allocate_pinned(std::size_t bytes) { return allocate<MemoryKind::kPinned>(bytes); }

SessionMemory CudaExecutor::memory_of(std::span<std::byte> callers) {
  const Workspace main = callers.empty() ? Workspace(allocate_device) : Workspace(callers);
  return {main, Workspace(allocate_pinned)};
}

SessionBytes CudaExecutor::bytes_needed(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options,
                                        const PhotoLimits& limits) {
  const CudaDeviceScope scope(options.device.index);
  const CudaStream stream;
  const Cuda cuda = stream.on(options.device);
  const PlannedNetwork<Cuda> network(file, packs, cuda, options.network());
  if (!limits.width) return {network.arena_bytes(), 0};
  const std::size_t scratch = scratch_for(cuda, file, limits, network.input(), network.logit());
  const SessionBytes photos = bytes_for(scratch, limits, network.logit());
  return {Workspace::bytes_for(network.arena_bytes(), photos.main), photos.pinned};
}

CudaExecutor::CudaExecutor(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options,
                           std::shared_ptr<SessionMemory> memory)
    : file_(file),
      device_(selected(options.device)),
      memory_(std::move(memory)),
      network_(file, packs, cuda(), options.network()),
      arena_(memory_->main.arena(network_.arena_bytes())) {
  network_.place(arena_.get());
  for (const BoundStep<Cuda>& step : network_.steps()) infos_.push_back(step.info);
  samples_.resize(infos_.size());
  on_device_.resize(static_cast<std::size_t>(options.batch));
  steps_.emplace(network_, device_);
  graph_ = CudaGraph(cuda(), [this] { return steps_->queue(cuda()); });
}

Status CudaExecutor::reserve(const PhotoLimits& limits) {
  return status_of([&] {
    const CudaDeviceScope scope(device_.index);
    const std::size_t scratch = scratch_for(cuda(), file_, limits, input(), logit());
    const SessionBytes bytes = bytes_for(scratch, limits, logit());
    memory_->main.reserve(bytes.main);
    memory_->pinned.reserve(bytes.pinned);
  });
}

std::size_t CudaExecutor::scratch_for_photo(const Cuda& cuda, const ImageView& photo) const {
  return scratch_for(cuda, file_, {photo.width, photo.height, false, refine_}, input(), logit());
}

Status CudaExecutor::queue_prepare(const Cuda& cuda, std::span<const RunRequest> requests) const {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Preprocess op = preprocess_of(requests[i], file_.preprocess(), image_of(network_.input(), i), memory_->main.photos());
    if (Status s = core::run(cuda, op); !s) return s;
  }
  return {};
}

Status CudaExecutor::queue_infer(const Cuda& cuda) const {
  return is_captured(cuda) ? steps_->queue(cuda) : graph_.launch(cuda);
}

Status CudaExecutor::queue_finish(const Cuda& cuda, std::span<const RunRequest> requests) const {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].mask && !requests[i].probability) continue;
    if (Status s = finish_photo(cuda, requests[i], file_.network(), refine_, image_of(input(), i), image_of(logit(), i),
                                memory_->main.photos());
        !s)
      return s;
  }
  return {};
}

Status CudaExecutor::enqueue(void* stream, std::span<const RunRequest> requests) {
  const CudaDeviceScope scope(device_.index);
  if (!scope.status()) return scope.status();
  Cuda cuda = this->cuda();
  cuda.stream = stream;
  for (const RunRequest& r : requests)
    if (scratch_for_photo(cuda, r.image) > memory_->main.photos().size())
      return invalid("there is no memory for a photo of " + std::to_string(r.image.width) + "x" +
                     std::to_string(r.image.height) +
                     " pixels: create the session with max_width and max_height or warm it up");
  if (Status s = queue_prepare(cuda, requests); !s) return s;
  if (Status s = queue_infer(cuda); !s) return s;
  return queue_finish(cuda, requests);
}

Status CudaExecutor::run(std::span<const RunRequest> requests) {
  const CudaDeviceScope scope(device_.index);
  if (!scope.status()) return scope.status();
  const Cuda cuda = this->cuda();

  std::size_t scratch = 0;
  for (const RunRequest& r : requests) scratch = std::max(scratch, scratch_for_photo(cuda, r.image));
  StagingCutter main(scratch), pinned(0);
  for (const RunRequest& r : requests) take(main, r), take(pinned, r);
  const Status reserved = status_of([&] {
    memory_->main.reserve(main.used());
    memory_->pinned.reserve(std::max(pinned.used(), bytes_of_one(logit())));
  });
  if (!reserved) return reserved;
  const std::span<std::byte> device = memory_->main.photos(), host = memory_->pinned.photos();

  if (Status s = begin_.record(cuda); !s) return s;
  StagingCutter to_device(scratch), to_host(0);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RunRequest& r = requests[i];
    const StagedPhoto there = take(to_device, r), here = take(to_host, r);
    const std::int64_t row = std::int64_t{r.image.width} * channels_of(r.image.format);
    if (Status s =
            upload_rows(cuda, &device[there.photo], &host[here.photo], r.image.data, r.image.row_stride, row, r.image.height);
        !s)
      return s;
    RunRequest& d = on_device_[i] = r;
    d.image.data = reinterpret_cast<const std::uint8_t*>(&device[there.photo]), d.image.row_stride = row;
    if (r.mask) d.mask = reinterpret_cast<std::uint8_t*>(&device[there.mask]), d.mask_stride = r.image.width;
    if (r.probability)
      d.probability = reinterpret_cast<float*>(&device[there.probability]),
      d.probability_stride = std::int64_t{4} * r.image.width;
  }
  if (Status s = queue_prepare(cuda, on_device_); !s) return s;
  if (Status s = prepared_.record(cuda); !s) return s;
  if (Status s = profiling_ ? run_profiled(cuda) : queue_infer(cuda); !s) return s;
  if (Status s = inferred_.record(cuda); !s) return s;
  if (Status s = queue_finish(cuda, on_device_); !s) return s;

  const auto pixels_of = [](const RunRequest& r) {
    return static_cast<std::size_t>(std::int64_t{r.image.width} * r.image.height);
  };
  StagingCutter back(0);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const StagedPhoto here = take(back, requests[i]);
    const RunRequest& d = on_device_[i];
    if (d.mask)
      if (Status s = copy_to_host(cuda, &host[here.mask], d.mask, pixels_of(d)); !s) return s;
    if (d.probability)
      if (Status s = copy_to_host(cuda, &host[here.probability], d.probability, 4 * pixels_of(d)); !s) return s;
  }
  if (Status s = finished_.record(cuda); !s) return s;
  if (Status s = wait(cuda); !s) return s;

  StagingCutter out(0);
  for (const RunRequest& r : requests) {
    const StagedPhoto here = take(out, r);
    const int width = r.image.width, height = r.image.height;
    if (r.mask) copy_rows(r.mask, r.mask_stride, &host[here.mask], width, width, height);
    const std::int64_t row = std::int64_t{4} * width;
    if (r.probability) copy_rows(r.probability, r.probability_stride, &host[here.probability], row, row, height);
  }
  timings_ = {prepared_.milliseconds_since(begin_), inferred_.milliseconds_since(prepared_),
              finished_.milliseconds_since(inferred_)};
  return {};
}

Status CudaExecutor::host_logit(std::size_t photo, View& logit) {
  const CudaDeviceScope scope(device_.index);
  if (!scope.status()) return scope.status();
  const View there = image_of(this->logit(), photo);
  std::byte* const here = memory_->pinned.photos().data();  // a run has copied its results out
  if (Status s = copy_to_host(cuda(), here, there.data, bytes_of_one(there)); !s) return s;
  if (Status s = wait(cuda()); !s) return s;
  // As upsample_mask adds a logit's parts up.
  auto* const values = reinterpret_cast<float*>(here);
  const int parts = there.shape.c;
  for (std::int64_t i = 0; i < there.shape.pixels(); ++i) {
    float sum = values[i * parts];
    for (int k = 1; k < parts; ++k) sum += values[i * parts + k];
    values[i] = sum;
  }
  logit = View(values, DType::kF32, {1, there.shape.h, there.shape.w, 1});
  return {};
}

// Everything that a run launches, on blank photos in device memory of its own.
Status CudaExecutor::warm_up(const PhotoLimits& limits) {
  return status_of([&] {
    const CudaDeviceScope scope(device_.index);
    const auto pixels = static_cast<std::size_t>(std::int64_t{limits.width} * limits.height);
    const CudaMemory photo(MemoryKind::kDevice, pixels), mask(MemoryKind::kDevice, pixels),
        probability(MemoryKind::kDevice, 4 * pixels);
    const Point tap{0, 0};
    const RunRequest blank{.image = {reinterpret_cast<const std::uint8_t*>(photo.data()), limits.width, limits.height,
                                     limits.width, PixelFormat::kGrey},
                           .taps = {&tap, 1},
                           .mask = reinterpret_cast<std::uint8_t*>(mask.data()),
                           .mask_stride = limits.width,
                           .probability = reinterpret_cast<float*>(probability.data()),
                           .probability_stride = std::int64_t{4} * limits.width};
    const std::vector<RunRequest> requests(on_device_.size(), blank);
    Status s = enqueue(cuda().stream, requests);
    if (s) s = wait(cuda());
    if (!s) throw Error(s.code(), s.message());
  });
}

// Step by step in a graph of its own, each step after the end of the one before: what a kernel takes when it is alone.
Status CudaExecutor::run_profiled(const Cuda& cuda) {
  if (!profiled_)
    if (Status s = status_of([this] { record_profiled(); }); !s) return s;
  if (Status s = profiled_.launch(cuda); !s) return s;
  if (Status s = wait(cuda); !s) return s;
  for (std::size_t i = 0; i < samples_.size(); ++i) samples_[i].add(1e3 * moments_[i + 1].milliseconds_since(moments_[i]));
  return {};
}

void CudaExecutor::record_profiled() {
  moments_ = std::vector<CudaEvent>(samples_.size() + 1);
  profiled_ = CudaGraph(cuda(), [this] {
    Status s = moments_[0].record_in_graph(cuda());
    for (std::size_t i = 0; i < samples_.size() && s; ++i) {
      s = network_.steps()[i].run(cuda());
      if (s) s = moments_[i + 1].record_in_graph(cuda());
    }
    return s;
  });
}

void CudaExecutor::set_profiling(bool on) {
  profiling_ = on;
  for (ProfileSamples& s : samples_) s.start();
}

}  // namespace mfs::core
