// One user of a model: holds the plans of its network size and runs photos through them. Belongs to one thread at a time.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/executor.h"
#include "runtime/model.h"
#include "runtime/zoom_in.h"

namespace mfs::core {

inline constexpr int kMostPhotos = 64;  // of one call

struct SessionOptions {
  int height = 0, width = 0;  // network size; 0 = the weights'
  bool native_size = false;   // follow the photo: each side rounded to size_multiple(), at least 64
  int max_batch = 1;
  int max_height = 0, max_width = 0;  // of photos; 0 = any
  bool device_photos_only = false;
  std::span<std::byte> memory = {};  // the caller's
  bool zoom_in = false;              // run each photo twice, see zoom_in.h
  bool refine = false;               // outlines along the photo's edges, see refine.h
};

// What a photo can be at all; the sentence is the same wherever one is passed in.
Status check_photo(const ImageView& image);

class Session {
  struct Size {
    int height = 0, width = 0;
    bool operator==(const Size&) const = default;
  };

 public:
  // Throws Error.
  Session(std::shared_ptr<const Model> model, const SessionOptions& options);
  static SessionBytes memory_needed(const Model& model, const SessionOptions& options);

  // Throw nothing. One of them at a time.
  Status run(std::span<const RunRequest> requests);
  Status run(const RunRequest& request) { return run({&request, 1}); }
  Status enqueue(void* stream, std::span<const RunRequest> requests);
  Status warm_up(int width, int height, int batch);
  void set_profiling(bool on);
  // While on, runs gather the ranges that int8 needs; the CPU in f32 only.
  Status set_observing(bool on);
  Status write_calibrated(const std::string& path);

  const Timings& timings() const { return timings_; }  // of the last blocking run, both looks together
  const Executor* executor() const { return last_; }   // that ran last; null before the first plan
  std::size_t memory_bytes() const { return memory_->main.bytes(); }

 private:
  Status look_closer(Executor& executor, std::span<const RunRequest> requests);
  Status check_requests(std::span<const RunRequest> requests) const;
  Status check_request(const RunRequest& request) const;
  Status check_count(std::size_t count) const;
  // The plan for photos of this size, made if it must be. Throws.
  Size network_size(int photo_width, int photo_height) const;
  Executor& plan_for(int photo_width, int photo_height, std::size_t count);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  bool uses_taps_;
  bool profiling_ = false, observing_ = false;
  RangeStatistics statistics_;
  Size planned_;  // what the executors are for
  std::shared_ptr<SessionMemory> memory_;
  std::vector<std::unique_ptr<Executor>> executors_;  // by number of photos - 1
  Executor* last_ = nullptr;
  std::optional<ZoomIn> zoom_in_;
  Timings timings_;
  std::atomic_flag busy_;
};

}  // namespace mfs::core
