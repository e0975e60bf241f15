#include "tools/pipeline.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "tools/interrupt.h"

namespace mfs::tools {
namespace {

enum class State { kReading, kRead, kDecoding, kDecoded, kSegmenting, kSegmented, kWriting, kDone };

struct Slot {
  PhotoWork work;
  State state = State::kReading;
  std::int64_t pixels = 0;  // counted as decoded
};

class Pipeline {
 public:
  Pipeline(const std::vector<Job>& jobs, PhotoStages& stages, const PipelineLimits& limits)
      : jobs_(jobs), stages_(stages), limits_(limits) {}
  ~Pipeline() { stop(); }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void run(const std::function<void(const PhotoWork&)>& report);

 private:
  using Lock = std::unique_lock<std::mutex>;
  using Stage = void (PhotoStages::*)(PhotoWork&);

  void start_helpers();
  void help();
  void stop();
  bool help_once(Lock& lock);
  Slot* first(State state);
  void advance(Lock& lock, Slot& slot, State during, Stage stage, State after);

  const std::vector<Job>& jobs_;
  PhotoStages& stages_;
  const PipelineLimits limits_;

  std::mutex mutex_;  // guards what follows, and every slot that is not in one of the -ing states
  std::condition_variable changed_;
  std::deque<Slot> window_;  // photos in flight, in order: its ends move, its slots do not
  std::size_t next_ = 0;     // the job that enters next
  std::int64_t pixels_ = 0;
  bool stopping_ = false;
  std::exception_ptr problem_;  // of a helper
  std::vector<std::thread> helpers_;
};

Slot* Pipeline::first(State state) {
  for (Slot& slot : window_) {
    if (slot.state == state) return &slot;
  }
  return nullptr;
}

void Pipeline::advance(Lock& lock, Slot& slot, State during, Stage stage, State after) {
  slot.state = during;
  lock.unlock();
  PhotoWork& work = slot.work;
  (stages_.*stage)(work);
  const bool done = work.over || after == State::kDone;
  if (done) {  // its memory is free for the next photo, even if it has to wait for its turn to be reported
    work.file = {};
    work.photo = {};
    work.mask = {};
    work.probability = {};
  }
  lock.lock();
  slot.state = done ? State::kDone : after;
  if (done) pixels_ -= std::exchange(slot.pixels, 0);
  changed_.notify_all();
}

// Does the most urgent thing: what frees memory first. False when there is nothing to do.
bool Pipeline::help_once(Lock& lock) {
  if (Slot* slot = first(State::kSegmented)) {
    advance(lock, *slot, State::kWriting, &PhotoStages::write, State::kDone);
    return true;
  }
  if (Slot* slot = first(State::kRead)) {
    const std::int64_t pixels = slot->work.header.width * slot->work.header.height;
    if (pixels_ > 0 && pixels_ + pixels > limits_.pixels) return false;
    pixels_ += slot->pixels = pixels;
    advance(lock, *slot, State::kDecoding, &PhotoStages::decode, State::kDecoded);
    return true;
  }
  if (next_ == jobs_.size() || window_.size() >= limits_.photos) return false;
  Slot& slot = window_.emplace_back();
  slot.work.job = &jobs_[next_++];
  advance(lock, slot, State::kReading, &PhotoStages::read, State::kRead);
  return true;
}

void Pipeline::start_helpers() {
  try {
    for (int i = 0; i < limits_.helpers; ++i) helpers_.emplace_back([this] { help(); });
  } catch (const std::system_error&) {  // the system gives no more threads: fewer do, or none
  }
}

void Pipeline::help() {
  Lock lock(mutex_);
  try {
    while (!stopping_) {
      if (!help_once(lock)) changed_.wait(lock);
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    problem_ = std::current_exception();
  }
}

void Pipeline::stop() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
  helpers_.clear();
}

void Pipeline::run(const std::function<void(const PhotoWork&)>& report) {
  constexpr std::chrono::milliseconds kLookForInterrupt{100};  // a signal wakes no thread that waits
  start_helpers();
  Lock lock(mutex_);
  while (interrupting_signal() == 0) {
    if (problem_) std::rethrow_exception(problem_);
    if (!window_.empty() && window_.front().state == State::kDone) {
      const PhotoWork work = std::move(window_.front().work);
      window_.pop_front();
      lock.unlock();
      changed_.notify_all();
      if (!work.dropped) report(work);
      lock.lock();
    } else if (window_.empty() && next_ == jobs_.size()) {
      return;
    } else if (Slot* slot = first(State::kDecoded)) {
      advance(lock, *slot, State::kSegmenting, &PhotoStages::segment, State::kSegmented);
    } else if (helpers_.empty()) {
      help_once(lock);
    } else {
      changed_.wait_for(lock, kLookForInterrupt);
    }
  }
  lock.unlock();
  stop();
  for (const Slot& slot : window_) {
    if (slot.state == State::kDone && !slot.work.dropped) report(slot.work);
  }
}

}  // namespace

void run_pipeline(const std::vector<Job>& jobs, PhotoStages& stages, const PipelineLimits& limits,
                  const std::function<void(const PhotoWork&)>& report) {
  Pipeline(jobs, stages, limits).run(report);
}

}  // namespace mfs::tools
