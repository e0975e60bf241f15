// C++ interface: a thin, header-only wrapper over mfs.h, which is the manual. Failures throw mfs::Error.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mfs/mfs.h"

namespace mfs {

using Image = mfs_image;
using Map = mfs_map;
using Point = mfs_point;
using Timings = mfs_timings;
using ModelInfo = mfs_model_info;
using ProfileEntry = mfs_profile_entry;

class Error : public std::runtime_error {
 public:
  Error(mfs_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  mfs_status status() const { return status_; }

 private:
  mfs_status status_;
};

namespace detail {
inline void require(mfs_status status, const mfs_error& error) {
  if (status != MFS_OK) throw Error(status, error.message);
}
}  // namespace detail

struct ModelOptions {
  std::string device = "auto", precision = "auto";
  int threads = 0;
  mfs_log_fn log = nullptr;
  void* log_user = nullptr;
};

class Model {
 public:
  explicit Model(const std::string& path, const ModelOptions& o = {}) {
    const mfs_model_options c{sizeof c, o.device.c_str(), o.precision.c_str(), o.threads, o.log, o.log_user};
    mfs_error error{};
    mfs_model* model = nullptr;
    detail::require(mfs_model_load(path.c_str(), &c, &model, &error), error);
    handle_.reset(model);
  }
  ModelInfo info() const {
    ModelInfo info{};
    mfs_error error{};
    detail::require(mfs_model_get_info(handle_.get(), &info, &error), error);
    return info;
  }
  mfs_model* handle() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(mfs_model* m) const { mfs_model_destroy(m); }
  };
  std::unique_ptr<mfs_model, Destroy> handle_;
};

struct SessionOptions {
  int network_width = 0, network_height = 0;  // 0 = the weights' size
  bool native_size = false;
};

// 8-bit mask of the photo's size, 255 = object, rows without gaps.
struct Mask {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& o = {}) {
    const mfs_session_options c{sizeof c, o.network_width, o.network_height, o.native_size};
    mfs_error error{};
    mfs_session* session = nullptr;
    detail::require(mfs_session_create(model.handle(), &c, &session, &error), error);
    handle_.reset(session);
  }

  // The caller's buffers, no allocation: see mfs_outputs.
  void run(const Image& image, std::span<const Point> taps, const mfs_outputs& outputs) {
    mfs_error error{};
    detail::require(mfs_session_run(handle_.get(), &image, taps.data(), taps.size(), &outputs, &error), error);
  }

  Mask segment(const Image& image, std::span<const Point> taps, float threshold = 0.5f) {
    Mask mask{image.width, image.height, std::vector<std::uint8_t>(std::size_t(image.width) * std::size_t(image.height))};
    mfs_outputs outputs{};
    outputs.struct_size = sizeof outputs;
    outputs.mask = mask.pixels.data();
    outputs.threshold = threshold;
    run(image, taps, outputs);
    return mask;
  }

  Timings timings() const { return mfs_session_timings(handle_.get()); }
  std::size_t memory_bytes() const { return mfs_session_memory_bytes(handle_.get()); }
  void set_profiling(bool on) { mfs_session_set_profiling(handle_.get(), on); }
  std::vector<ProfileEntry> profile() const {
    std::vector<ProfileEntry> entries(mfs_session_profile(handle_.get(), nullptr, 0));
    mfs_session_profile(handle_.get(), entries.data(), entries.size());
    return entries;
  }

 private:
  struct Destroy {
    void operator()(mfs_session* s) const { mfs_session_destroy(s); }
  };
  std::unique_ptr<mfs_session, Destroy> handle_;
};

}  // namespace mfs
