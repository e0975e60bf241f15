#include "runtime/cuda_executor.h"

#include <algorithm>
#include <cstring>

#include "kernels/error.h"
#include "layers/network.h"
#include "runtime/memory_plan.h"
#include "runtime/photo_steps.h"

namespace mfs::core {
namespace {

const CudaDeviceInfo& selected(const CudaDeviceInfo& device) {
  if (const Status s = select_device(device.index); !s) throw Error(s.code(), s.message());
  return device;
}

Status grow(CudaMemory& memory, MemoryKind kind, std::size_t bytes) {
  if (bytes <= memory.size()) return {};
  try {
    memory = {};  // first, so that both need not fit
    memory = CudaMemory(kind, bytes);
  } catch (const Error& e) {
    return {e.code(), e.what()};
  }
  return {};
}

// Rows of `bytes` between memories with different distances of rows.
void copy_rows(std::byte* to, std::int64_t to_stride, const std::byte* from, std::int64_t from_stride, std::size_t bytes,
               int rows) {
  if (to_stride == from_stride && static_cast<std::size_t>(to_stride) == bytes) {
    std::memcpy(to, from, bytes * static_cast<std::size_t>(rows));
    return;
  }
  for (int y = 0; y < rows; ++y) std::memcpy(to + y * to_stride, from + y * from_stride, bytes);
}

std::int64_t row_bytes(const ImageView& image) { return std::int64_t{image.width} * channels_of(image.format); }
std::size_t pixels_of(const ImageView& image) { return static_cast<std::size_t>(std::int64_t{image.width} * image.height); }

}  // namespace

CudaExecutor::CudaExecutor(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& options)
    : file_(file), device_(selected(options.device)) {
  Lowered network = lower(build_network(file, options.height, options.width), {.dtype = options.dtype, .join_shortcuts = true});
  if (!options.keep_named_values) share_buffers_in_place(network);

  StepBinder<Cuda> binder(file, packs, cuda(), options.host_threads, network);
  std::vector<std::size_t> scratch;
  for (const LoweredOp& op : network.ops) scratch.push_back(binder.prepare(op));
  const MemoryPlan memory = plan_memory(network, scratch, options.keep_named_values);
  arena_ = CudaMemory(MemoryKind::kDevice, memory.bytes);

  binder.place(arena_.data(), memory);
  for (std::size_t i = 0; i < network.ops.size(); ++i) {
    BoundStep<Cuda> bound = binder.bind(i);
    steps_.push_back({std::move(bound.run), {}});
    infos_.push_back(std::move(bound.info));
  }
  parameters_ = binder.take_parameters();
  input_ = binder.view(network.input);
  logit_ = binder.view(network.output);
  for (const auto& [name, place] : network.named) named_[name] = binder.view(place);

  graph_ = CudaGraph(cuda(), [this] { return run_steps(cuda()); });
}

Status CudaExecutor::reserve(const RunRequest& request) {
  const Preprocess begin = preprocess_of(request, file_.preprocess(), input_, {});
  const UpsampleMask end = upsample_of(request, file_.network(), logit_, {});
  return grow(staging_.scratch, MemoryKind::kDevice, std::max(scratch_bytes(cuda(), begin), scratch_bytes(cuda(), end)));
}

Status CudaExecutor::queue_prepare(const Cuda& cuda, const RunRequest& request) {
  return core::run(cuda,
                   preprocess_of(request, file_.preprocess(), input_, {staging_.scratch.data(), staging_.scratch.size()}));
}

Status CudaExecutor::queue_infer(const Cuda& cuda) { return is_captured(cuda) ? run_steps(cuda) : graph_.launch(cuda); }

Status CudaExecutor::run_steps(const Cuda& cuda) const {
  for (const Step& step : steps_)
    if (Status s = step.run(cuda); !s) return s;
  return {};
}

Status CudaExecutor::queue_finish(const Cuda& cuda, const RunRequest& request) {
  if (!request.mask && !request.probability) return {};
  return core::run(cuda, upsample_of(request, file_.network(), logit_, {staging_.scratch.data(), staging_.scratch.size()}));
}

// The request with its memory on the device, and the photo under way to there.
Status CudaExecutor::stage(const RunRequest& request, RunRequest& on_device) {
  const ImageView& image = request.image;
  const std::int64_t row = row_bytes(image);
  const std::size_t photo = static_cast<std::size_t>(row * image.height), pixels = pixels_of(image);
  on_device = request;
  if (Status s = grow(staging_.host_photo, MemoryKind::kPinned, photo); !s) return s;
  if (Status s = grow(staging_.photo, MemoryKind::kDevice, photo); !s) return s;
  on_device.image.data = reinterpret_cast<const std::uint8_t*>(staging_.photo.data());
  on_device.image.row_stride = row;
  if (request.mask) {
    if (Status s = grow(staging_.host_mask, MemoryKind::kPinned, pixels); !s) return s;
    if (Status s = grow(staging_.mask, MemoryKind::kDevice, pixels); !s) return s;
    on_device.mask = reinterpret_cast<std::uint8_t*>(staging_.mask.data());
    on_device.mask_stride = image.width;
  }
  if (request.probability) {
    if (Status s = grow(staging_.host_probability, MemoryKind::kPinned, pixels * sizeof(float)); !s) return s;
    if (Status s = grow(staging_.probability, MemoryKind::kDevice, pixels * sizeof(float)); !s) return s;
    on_device.probability = reinterpret_cast<float*>(staging_.probability.data());
    on_device.probability_stride = std::int64_t{image.width} * static_cast<std::int64_t>(sizeof(float));
  }
  if (Status s = reserve(on_device); !s) return s;
  copy_rows(staging_.host_photo.data(), row, reinterpret_cast<const std::byte*>(image.data), image.row_stride,
            static_cast<std::size_t>(row), image.height);
  return copy_to_device(cuda(), staging_.photo.data(), staging_.host_photo.data(), photo);
}

void CudaExecutor::return_results(const RunRequest& request) const {
  const int width = request.image.width, height = request.image.height;
  if (request.mask) {
    copy_rows(reinterpret_cast<std::byte*>(request.mask), request.mask_stride, staging_.host_mask.data(), width,
              static_cast<std::size_t>(width), height);
  }
  if (request.probability) {
    const std::size_t row = static_cast<std::size_t>(width) * sizeof(float);
    copy_rows(reinterpret_cast<std::byte*>(request.probability), request.probability_stride, staging_.host_probability.data(),
              static_cast<std::int64_t>(row), row, height);
  }
}

Status CudaExecutor::run(const RunRequest& request) {
  const Cuda cuda = this->cuda();
  if (Status s = select_device(device_.index); !s) return s;
  RunRequest on_device;
  if (Status s = begin_.record(cuda); !s) return s;
  if (Status s = stage(request, on_device); !s) return s;
  if (Status s = queue_prepare(cuda, on_device); !s) return s;
  if (Status s = prepared_.record(cuda); !s) return s;
  if (Status s = profiling_ ? run_profiled(cuda) : queue_infer(cuda); !s) return s;
  if (Status s = inferred_.record(cuda); !s) return s;
  if (Status s = queue_finish(cuda, on_device); !s) return s;
  const std::size_t pixels = pixels_of(request.image);
  if (request.mask)
    if (Status s = copy_to_host(cuda, staging_.host_mask.data(), on_device.mask, pixels); !s) return s;
  if (request.probability) {
    Status s = copy_to_host(cuda, staging_.host_probability.data(), on_device.probability, pixels * sizeof(float));
    if (!s) return s;
  }
  if (Status s = finished_.record(cuda); !s) return s;
  if (Status s = wait(cuda); !s) return s;
  return_results(request);
  timings_ = {prepared_.milliseconds_since(begin_), inferred_.milliseconds_since(prepared_),
              finished_.milliseconds_since(inferred_)};
  return {};
}

// Step by step, each awaited: what a kernel takes when it is alone.
Status CudaExecutor::run_profiled(const Cuda& cuda) {
  const CudaEvent before, after;
  for (Step& step : steps_) {
    if (Status s = before.record(cuda); !s) return s;
    if (Status s = step.run(cuda); !s) return s;
    if (Status s = after.record(cuda); !s) return s;
    if (Status s = wait(cuda); !s) return s;
    step.samples.push_back(1e3 * after.milliseconds_since(before));
  }
  return {};
}

void CudaExecutor::set_profiling(bool on) {
  profiling_ = on;
  for (Step& step : steps_) step.samples.clear();
}

double CudaExecutor::step_microseconds(std::size_t step) const { return median(steps_[step].samples); }

std::size_t CudaExecutor::memory_bytes() const {
  const Staging& s = staging_;
  return arena_.size() + s.photo.size() + s.mask.size() + s.probability.size() + s.scratch.size();
}

View CudaExecutor::named(const std::string& name) const {
  const auto it = named_.find(name);
  return it == named_.end() ? View{} : it->second;
}

}  // namespace mfs::core
