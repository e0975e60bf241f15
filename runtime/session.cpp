#include "runtime/session.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "kernels/error.h"

namespace mfs::core {
namespace {

constexpr int kSmallest = 64, kLargest = 8192;

int native(int side, int multiple) { return std::clamp((side + multiple / 2) / multiple * multiple, kSmallest, kLargest); }

std::string number(float v) {
  std::string s = std::to_string(v);
  s.erase(s.find_last_not_of('0') + 1);
  return s.ends_with('.') ? s.substr(0, s.size() - 1) : s;
}

class ReleaseFlag {
 public:
  explicit ReleaseFlag(std::atomic_flag& flag) : flag_(flag) {}
  ~ReleaseFlag() { flag_.clear(); }
  ReleaseFlag(const ReleaseFlag&) = delete;
  ReleaseFlag& operator=(const ReleaseFlag&) = delete;

 private:
  std::atomic_flag& flag_;
};

}  // namespace

Session::Session(const Model& model, const SessionOptions& options) : model_(model), native_size_(options.native_size) {
  const PreprocessDescription& p = model.weights().preprocess();
  height_ = options.height ? options.height : p.height;
  width_ = options.width ? options.width : p.width;
  const Variant variant = model.weights().network().variant;
  const int multiple = size_multiple(variant);
  for (const int side : {height_, width_})
    if (side < kSmallest || side > kLargest || side % multiple != 0)
      throw Error(Code::kInvalidArgument, "network size " + std::to_string(width_) + "x" + std::to_string(height_) +
                                              ": each side must be a multiple of " + std::to_string(multiple) +
                                              " from 64 to 8192" + (is_vgg(variant) ? " for a VGG network" : ""));
  if (!native_size_) executor_ = model.plan(height_, width_);
}

Status Session::check_request(const RunRequest& r) const {
  const ImageView& image = r.image;
  if (!image.data || image.width < 1 || image.height < 1) return invalid("the photo is empty");
  if (image.row_stride < std::int64_t{image.width} * channels_of(image.format))
    return invalid("the photo's row stride is shorter than a row");
  if (!(r.threshold > 0 && r.threshold < 1)) return invalid("the threshold must lie between 0 and 1");
  if (model_.weights().preprocess().guidance.kind == Guidance::Kind::kNone) return {};
  if (r.taps.empty()) return invalid("no tap was given, and this network needs at least one");
  for (const Point& t : r.taps)
    if (!(t.x >= -0.5f && t.x <= static_cast<float>(image.width) - 0.5f && t.y >= -0.5f &&
          t.y <= static_cast<float>(image.height) - 0.5f))
      return invalid("tap " + number(t.x) + "," + number(t.y) + " lies outside the photo of " + std::to_string(image.width) +
                     "x" + std::to_string(image.height) + " pixels");
  return {};
}

Status Session::plan_for(const ImageView& image) {
  const int multiple = size_multiple(model_.weights().network().variant);
  const int height = native(image.height, multiple), width = native(image.width, multiple);
  if (executor_ && height == height_ && width == width_) return {};
  try {
    executor_.reset();
    executor_ = model_.plan(height, width);
    executor_->set_profiling(profiling_);
    height_ = height, width_ = width;
  } catch (const Error& e) {
    return {e.code(), e.what()};
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "out of memory for network size " + std::to_string(width) + "x" + std::to_string(height)};
  }
  return {};
}

Status Session::run(const RunRequest& request) {
  if (running_.test_and_set()) return invalid("the session is in use by another thread; use one session per thread");
  const ReleaseFlag release(running_);
  if (Status s = check_request(request); !s) return s;
  if (native_size_)
    if (Status s = plan_for(request.image); !s) return s;
  RunRequest r = request;
  if (model_.weights().preprocess().guidance.kind == Guidance::Kind::kNone) r.taps = {};
  return executor_->run(r);
}

void Session::set_profiling(bool on) {
  profiling_ = on;
  if (executor_) executor_->set_profiling(on);
}

}  // namespace mfs::core
