#include "runtime/session.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "kernels/error.h"

namespace mfs::core {
namespace {

constexpr int kSmallest = 64, kLargest = 8192;
constexpr int kLongestSide = 1 << 20;
constexpr std::int64_t kMostPixels = std::int64_t{1} << 30, kLongestStride = std::int64_t{1} << 40;

int native(int side, int multiple) { return std::clamp((side + multiple / 2) / multiple * multiple, kSmallest, kLargest); }

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

std::string number(float v) {
  std::string s = std::to_string(v);
  s.erase(s.find_last_not_of('0') + 1);
  return s.ends_with('.') ? s.substr(0, s.size() - 1) : s;
}

// Holds a session for one call, or finds it held.
class Turn {
 public:
  explicit Turn(std::atomic_flag& busy) : busy_(busy), taken_(!busy.test_and_set(std::memory_order_acquire)) {}
  ~Turn() {
    if (taken_) busy_.clear(std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const { return taken_; }

 private:
  std::atomic_flag& busy_;
  bool taken_;
};

template <typename Body>
Status in_turn(std::atomic_flag& busy, const Body& body) {
  try {
    const Turn turn(busy);
    if (!turn) return invalid("the session is in use by another thread; use one session per thread");
    return body();
  } catch (const Error& e) {
    return {e.code(), e.what()};
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

// The options with the network's size filled in.
SessionOptions checked(const Model& model, SessionOptions o) {
  const PreprocessDescription& p = model.weights().preprocess();
  if (!o.height) o.height = p.height;
  if (!o.width) o.width = p.width;
  if (!o.max_batch) o.max_batch = 1;
  const auto refuse = [](const std::string& sentence) { throw Error(Code::kInvalidArgument, sentence); };
  const Variant variant = model.weights().network().variant;
  const int multiple = size_multiple(variant);
  for (const int side : {o.height, o.width})
    if (side < kSmallest || side > kLargest || side % multiple != 0)
      refuse("network size " + size_text(o.width, o.height) + ": each side must be a multiple of " + std::to_string(multiple) +
             " from 64 to 8192" + (is_vgg(variant) ? " for a VGG network" : ""));
  if (o.max_batch < 1 || o.max_batch > kMostPhotos)
    refuse("max_batch " + std::to_string(o.max_batch) + ": from 1 to " + std::to_string(kMostPhotos) +
           " photos can run together");
  if ((o.max_width == 0) != (o.max_height == 0)) refuse("max_width and max_height must be given together");
  if (o.max_width) {
    const std::uint8_t any = 0;
    if (const Status s = check_photo({&any, o.max_width, o.max_height, std::int64_t{4} * o.max_width, PixelFormat::kRgba}); !s)
      refuse("max_width x max_height: " + s.message());
  }
  if (!o.memory.empty()) {
    if (o.native_size) refuse("a session of native size plans again and again, which the caller's memory cannot serve");
    if (!o.max_width) refuse("with the caller's memory, max_width and max_height must be given");
    if (reinterpret_cast<std::uintptr_t>(o.memory.data()) % Workspace::kAlignment != 0)
      refuse("the caller's memory must be aligned to " + std::to_string(Workspace::kAlignment) + " bytes");
  }
  if (o.zoom_in && o.native_size) refuse("zoom_in fills a fixed network size with a part of the photo; native_size has none");
  if (o.zoom_in && o.device_photos_only) refuse("zoom_in is for blocking runs; device_photos_only leaves none");
  if (o.device_photos_only && std::string_view(model.device()) == "cpu")
    refuse("device_photos_only is for GPUs, the model is on the CPU");
  return o;
}

PhotoLimits limits_of(const SessionOptions& o) { return {o.max_width, o.max_height, o.device_photos_only, o.refine}; }

}  // namespace

Status check_photo(const ImageView& image) {
  if (!image.data || image.width < 1 || image.height < 1) return invalid("the photo is empty");
  if (image.width > kLongestSide || image.height > kLongestSide || std::int64_t{image.width} * image.height > kMostPixels)
    return invalid("a photo of " + size_text(image.width, image.height) +
                   " pixels is too large: sides may have 1048576, the whole 1073741824");
  if (image.row_stride < std::int64_t{image.width} * channels_of(image.format))
    return invalid("the photo's row stride is shorter than a row");
  if (image.row_stride > kLongestStride) return invalid("the photo's row stride is longer than 1099511627776 bytes");
  return {};
}

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      options_(checked(*model_, options)),
      uses_taps_(model_->weights().preprocess().guidance.kind != Guidance::Kind::kNone),
      memory_(std::make_shared<SessionMemory>(model_->session_memory(options_.memory))),
      executors_(static_cast<std::size_t>(options_.max_batch)) {
  if (options_.zoom_in) zoom_in_.emplace(executors_.size());
  if (options_.native_size) return;
  const PhotoLimits limits = limits_of(options_);
  Executor& executor = plan_for(options_.max_width, options_.max_height, executors_.size());
  if (!limits.width) return;
  if (const Status s = executor.reserve(limits); !s) throw Error(s.code(), s.message());
}

SessionBytes Session::memory_needed(const Model& model, const SessionOptions& options) {
  const SessionOptions o = checked(model, options);
  if (o.native_size) throw Error(Code::kUnsupported, "what a session of native size needs depends on its photos");
  return model.memory_needed(o.height, o.width, o.max_batch, limits_of(o));
}

Status Session::check_request(const RunRequest& r) const {
  const ImageView& image = r.image;
  if (Status s = check_photo(image); !s) return s;
  if (options_.max_width && (image.width > options_.max_width || image.height > options_.max_height))
    return invalid("a photo of " + size_text(image.width, image.height) + " pixels is larger than the session's limit of " +
                   size_text(options_.max_width, options_.max_height));
  if (r.mask && (r.mask_stride < image.width || r.mask_stride > kLongestStride))
    return invalid("the mask's row stride of " + std::to_string(r.mask_stride) + " bytes does not fit the photo");
  if (r.probability && (r.probability_stride < std::int64_t{4} * image.width || r.probability_stride > kLongestStride ||
                        r.probability_stride % 4 != 0))
    return invalid("the probability's row stride of " + std::to_string(r.probability_stride) + " bytes does not fit the photo");
  if (!(r.threshold > 0 && r.threshold < 1)) return invalid("the threshold must lie between 0 and 1");
  if (!uses_taps_) return {};
  if (r.taps.empty()) return invalid("no tap was given, and this network needs at least one");
  for (const Point& t : r.taps)
    if (!(t.x >= -0.5f && t.x <= static_cast<float>(image.width) - 0.5f && t.y >= -0.5f &&
          t.y <= static_cast<float>(image.height) - 0.5f))
      return invalid("tap " + number(t.x) + "," + number(t.y) + " lies outside the photo of " +
                     size_text(image.width, image.height) + " pixels");
  return {};
}

Status Session::check_count(std::size_t count) const {
  if (count >= 1 && count <= executors_.size()) return {};
  return invalid(std::to_string(count) + " photos in one call: this session takes 1 to " + std::to_string(executors_.size()));
}

Status Session::check_requests(std::span<const RunRequest> requests) const {
  if (Status s = check_count(requests.size()); !s) return s;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Status s = check_request(requests[i]);
    const auto size = [&](const RunRequest& r) { return network_size(r.image.width, r.image.height); };
    if (s && size(requests[i]) != size(requests[0]))
      s = invalid("at native size, the photos of one call must have one network size");
    if (s) continue;
    if (requests.size() == 1) return s;
    return {s.code(), "photo " + std::to_string(i + 1) + " of " + std::to_string(requests.size()) + ": " + s.message()};
  }
  return {};
}

Session::Size Session::network_size(int photo_width, int photo_height) const {
  if (!options_.native_size) return {options_.height, options_.width};
  const int multiple = size_multiple(model_->weights().network().variant);
  return {native(photo_height, multiple), native(photo_width, multiple)};
}

Executor& Session::plan_for(int photo_width, int photo_height, std::size_t count) {
  const Size size = network_size(photo_width, photo_height);
  if (size != planned_) {
    last_ = nullptr;
    for (auto& executor : executors_) executor.reset();
    planned_ = size;
  }
  std::unique_ptr<Executor>& executor = executors_[count - 1];
  if (!executor) {
    auto made = model_->plan(size.height, size.width, static_cast<int>(count), memory_);
    made->set_refining(options_.refine);
    if (profiling_) made->set_profiling(true);
    if (observing_) made->observe(&statistics_);
    executor = std::move(made);
  }
  last_ = executor.get();
  return *executor;
}

Status Session::run(std::span<const RunRequest> requests) {
  return in_turn(busy_, [&]() -> Status {
    if (options_.device_photos_only) return invalid("the session was created for photos in device memory only");
    if (Status s = check_requests(requests); !s) return s;
    Executor& executor = plan_for(requests[0].image.width, requests[0].image.height, requests.size());
    if (Status s = executor.run(requests); !s) return s;
    timings_ = executor.timings();
    return zoom_in_ ? look_closer(executor, requests) : Status();
  });
}

Status Session::look_closer(Executor& executor, std::span<const RunRequest> requests) {
  std::span<const RunRequest> closer;
  if (Status s = zoom_in_->second_look(executor, model_->weights().network(), requests, closer); !s) return s;
  if (closer.empty()) return {};
  if (Status s = executor.run(closer); !s) return s;
  const Timings& second = executor.timings();
  timings_.prepare += second.prepare, timings_.infer += second.infer, timings_.finish += second.finish;
  return {};
}

Status Session::enqueue(void* stream, std::span<const RunRequest> requests) {
  return in_turn(busy_, [&]() -> Status {
    if (zoom_in_)
      return {Code::kUnsupported, "zoom_in looks at a result on the host, and nothing waits for it in a queued run"};
    if (Status s = check_requests(requests); !s) return s;
    const ImageView& first = requests[0].image;
    const bool planned = network_size(first.width, first.height) == planned_;
    Executor* executor = executors_[requests.size() - 1].get();
    if (!planned || !executor)
      return invalid("nothing is planned for " + std::to_string(requests.size()) + " photos of " +
                     size_text(first.width, first.height) + " pixels: call mfs_session_warm_up() first");
    return executor->enqueue(stream, requests);
  });
}

Status Session::warm_up(int width, int height, int batch) {
  return in_turn(busy_, [&]() -> Status {
    const std::uint8_t any = 0;
    const Point tap{0, 0};
    const RunRequest probe{.image = {&any, width, height, width, PixelFormat::kGrey}, .taps = {&tap, 1}};
    const auto count = static_cast<std::size_t>(std::max(batch, 0));
    if (Status s = check_count(count); !s) return s;
    if (Status s = check_request(probe); !s) return s;
    Executor& executor = plan_for(width, height, count);
    const PhotoLimits limits{width, height, options_.device_photos_only, options_.refine};
    if (Status s = executor.reserve(limits); !s) return s;
    return executor.warm_up(limits);
  });
}

Status Session::set_observing(bool on) {
  return in_turn(busy_, [&]() -> Status {
    const std::string device = model_->device(), precision = model_->precision();
    if (device != "cpu" || precision != "f32")
      return {Code::kUnsupported,
              "activations are observed on the CPU in f32; this session runs in " + precision + " on " + device};
    observing_ = on;
    for (auto& executor : executors_)
      if (executor) executor->observe(on ? &statistics_ : nullptr);
    return {};
  });
}

Status Session::write_calibrated(const std::string& path) {
  return in_turn(busy_, [&]() -> Status {
    core::write_calibrated(model_->weights(), statistics_.calibration(), path);
    return {};
  });
}

void Session::set_profiling(bool on) {
  const Status ignored = in_turn(busy_, [&]() -> Status {
    profiling_ = on;
    for (auto& executor : executors_)
      if (executor) executor->set_profiling(on);
    return {};
  });
  static_cast<void>(ignored);
}

}  // namespace mfs::core
