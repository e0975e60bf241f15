// C++20 interface: a thin, header-only wrapper over mfs.h, which is the manual. Failures throw mfs::Error.
//
//   mfs::Model model("mfs-small.safetensors");                                   // immutable; share it between threads
//   mfs::Session session(model, {.max_width = 4096, .max_height = 3072});        // one per thread or stream
//   mfs::Mask mask = session.segment({rgb, width, height, 0, MFS_RGB}, {{214, 180}});
#pragma once

#if __cplusplus < 202002L
#error "mfs.hpp needs C++20 (-std=c++20); C and older C++ use mfs.h"
#endif

#include <cstdint>
#include <initializer_list>
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
using Memory = mfs_memory;
using ModelInfo = mfs_model_info;
using Point = mfs_point;
using ProfileEntry = mfs_profile_entry;
using Request = mfs_request;
using Timings = mfs_timings;

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
// Sizes that cannot be are for the run to refuse.
inline std::vector<std::uint8_t> pixels_of(const Image& image) try {
  const std::int64_t pixels = std::int64_t(image.width) * image.height;
  const bool possible = image.width > 0 && image.height > 0 && pixels <= std::int64_t(1) << 30;
  return std::vector<std::uint8_t>(possible ? std::size_t(pixels) : 1);
} catch (const std::exception&) {
  throw Error(MFS_OUT_OF_MEMORY, "there is no memory for a mask of the photo's size");
}
template <auto Function>
struct Destroy {
  template <typename T>
  void operator()(T* handle) const {
    Function(handle);
  }
};
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
    if (mfs_abi_version() != MFS_ABI_VERSION)
      throw Error(MFS_UNSUPPORTED,
                  "the MFS library that was found does not belong to the header this program was compiled with");
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
  std::unique_ptr<mfs_model, detail::Destroy<mfs_model_destroy>> handle_;
};

// See mfs_session_options.
struct SessionOptions {
  int network_width = 0, network_height = 0;  // 0 = the weights' size
  bool native_size = false;
  int max_batch = 1;
  int max_width = 0, max_height = 0;  // 0 = any photo
  bool device_photos_only = false;
  std::span<std::byte> memory = {};  // the caller's; empty = the session allocates
  bool zoom_in = false;
  bool refine = false;

  mfs_session_options c() const {
    return {sizeof(mfs_session_options), network_width, network_height, native_size, max_batch, max_width, max_height,
            device_photos_only,          memory.data(), memory.size(),  zoom_in,     refine};
  }
};

// 8-bit mask of the photo's size, 255 = object, rows without gaps.
struct Mask {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& o = {}) {
    const mfs_session_options c = o.c();
    mfs_error error{};
    mfs_session* session = nullptr;
    detail::require(mfs_session_create(model.handle(), &c, &session, &error), error);
    handle_.reset(session);
  }
  static Memory memory_needed(const Model& model, const SessionOptions& o = {}) {
    const mfs_session_options c = o.c();
    Memory memory{};
    mfs_error error{};
    detail::require(mfs_session_memory_needed(model.handle(), &c, &memory, &error), error);
    return memory;
  }

  // The caller's buffers, no allocation: see mfs_outputs.
  void run(const Image& image, std::span<const Point> taps, const mfs_outputs& outputs) {
    mfs_error error{};
    detail::require(mfs_session_run(handle_.get(), &image, taps.data(), taps.size(), &outputs, &error), error);
  }
  void run(std::span<const Request> requests) {
    mfs_error error{};
    detail::require(mfs_session_run_batch(handle_.get(), requests.data(), requests.size(), &error), error);
  }
  // `stream`: a cudaStream_t. Photos and outputs in device memory.
  void enqueue(void* stream, std::span<const Request> requests) {
    mfs_error error{};
    detail::require(mfs_session_enqueue(handle_.get(), stream, requests.data(), requests.size(), &error), error);
  }
  void warm_up(int width, int height, int batch = 1) {
    mfs_error error{};
    detail::require(mfs_session_warm_up(handle_.get(), width, height, batch, &error), error);
  }

  Mask segment(const Image& image, std::span<const Point> taps, float threshold = 0.5f) {
    Mask mask{image.width, image.height, detail::pixels_of(image)};
    mfs_outputs outputs{};
    outputs.struct_size = sizeof outputs;
    outputs.mask = mask.pixels.data();
    outputs.threshold = threshold;
    run(image, taps, outputs);
    return mask;
  }
  Mask segment(const Image& image, std::initializer_list<Point> taps, float threshold = 0.5f) {
    return segment(image, std::span<const Point>(taps.begin(), taps.size()), threshold);
  }

  Timings timings() const { return mfs_session_timings(handle_.get()); }
  std::size_t memory_bytes() const { return mfs_session_memory_bytes(handle_.get()); }
  void set_profiling(bool on) { mfs_session_set_profiling(handle_.get(), on); }
  std::vector<ProfileEntry> profile() const {
    std::vector<ProfileEntry> entries(mfs_session_profile(handle_.get(), nullptr, 0));
    mfs_session_profile(handle_.get(), entries.data(), entries.size());
    return entries;
  }
  void set_observing(bool on) {
    mfs_error error{};
    detail::require(mfs_session_set_observing(handle_.get(), on, &error), error);
  }
  void write_calibrated(const std::string& path) {
    mfs_error error{};
    detail::require(mfs_session_write_calibrated(handle_.get(), path.c_str(), &error), error);
  }
  mfs_session* handle() const { return handle_.get(); }

 private:
  std::unique_ptr<mfs_session, detail::Destroy<mfs_session_destroy>> handle_;
};

}  // namespace mfs
