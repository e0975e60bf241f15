// One user of a model: holds the plan of its network size and runs photos through it. Belongs to one thread at a time.
#pragma once

#include <atomic>
#include <memory>

#include "runtime/executor.h"
#include "runtime/model.h"

namespace mfs::core {

struct SessionOptions {
  int height = 0, width = 0;  // network size; 0 = the weights'
  bool native_size = false;   // follow the photo: each side rounded to size_multiple(), at least 64
};

class Session {
 public:
  // Throws Error. The model must outlive the session.
  Session(const Model& model, const SessionOptions& options);

  Status run(const RunRequest& request);
  Executor* executor() const { return executor_.get(); }  // null before the first run at native size
  void set_profiling(bool on);

 private:
  Status check_request(const RunRequest& request) const;
  Status plan_for(const ImageView& image);

  const Model& model_;
  bool native_size_;
  bool profiling_ = false;
  int height_ = 0, width_ = 0;
  std::unique_ptr<Executor> executor_;
  std::atomic_flag running_;
};

}  // namespace mfs::core
