// The pipeline with stages that only keep accounts.
#include "tools/pipeline.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace mfs::tools {
namespace {

// Every job is called by its number; a photo is `side` pixels square, or of one row of that many.
class Accounts : public PhotoStages {
 public:
  std::int64_t side = 10;
  std::atomic<int> read_now{0}, most_read{0};
  std::atomic<std::int64_t> pixels_now{0}, most_pixels{0};
  std::atomic<bool> misplaced{false};
  const std::thread::id caller = std::this_thread::get_id();

  void read(PhotoWork& work) override {
    raise(most_read, ++read_now);
    work.result.input = work.job->input;
    work.header.width = side;
    work.header.height = number(work) % 7 == 3 ? 100 * side : side;  // some are larger than the limit
    nap(work, 3);
    if (number(work) % 10 == 4) fail(work);
  }
  void decode(PhotoWork& work) override {
    raise(most_pixels, pixels_now += work.header.width * work.header.height);
    work.photo.pixels.assign(8, 1);
    nap(work, 5);
    if (number(work) % 10 == 5) fail(work);
  }
  void segment(PhotoWork& work) override {
    if (std::this_thread::get_id() != caller || work.photo.pixels.empty()) misplaced = true;
    nap(work, 2);
    if (number(work) % 10 == 6) fail(work);
  }
  void write(PhotoWork& work) override {
    nap(work, 4);
    work.result.mask_area = number(work);
    leave(work);
  }
  void leave(const PhotoWork& work) {
    --read_now;
    if (!work.photo.pixels.empty()) pixels_now -= work.header.width * work.header.height;
  }

 private:
  template <class T>
  static void raise(std::atomic<T>& most, T value) {
    T seen = most;
    while (seen < value && !most.compare_exchange_weak(seen, value)) {
    }
  }
  static int number(const PhotoWork& work) { return std::stoi(work.job->input); }
  // Different for every photo, so that they overtake each other.
  static void nap(const PhotoWork& work, int stage) {
    std::this_thread::sleep_for(std::chrono::microseconds((number(work) * 37 + stage * 101) % 400));
  }
  void fail(PhotoWork& work) {
    work.over = true;
    work.result.status = PhotoResult::Status::kFailed;
    leave(work);
  }
};

std::vector<Job> numbered_jobs(int count) {
  std::vector<Job> jobs;
  for (int i = 0; i < count; ++i) jobs.push_back({.input = std::to_string(i)});
  return jobs;
}

}  // namespace

TEST_CASE("photos are reported in order, whatever overtakes what") {
  const std::vector<Job> jobs = numbered_jobs(300);
  for (const int helpers : {0, 1, 2, 5}) {
    CAPTURE(helpers);
    Accounts stages;
    const PipelineLimits limits{helpers, helpers == 0 ? std::size_t{1} : std::size_t{6}, 450};
    int next = 0;
    run_pipeline(jobs, stages, limits, [&](const PhotoWork& work) {
      CHECK(work.result.input == std::to_string(next));
      const bool fails = next % 10 >= 4 && next % 10 <= 6;
      CHECK((work.result.status == PhotoResult::Status::kFailed) == fails);
      if (!fails) CHECK(work.result.mask_area == next);
      CHECK(work.photo.pixels.empty());  // a photo that waits for its turn holds no memory
      ++next;
    });
    CHECK(next == 300);
    CHECK_FALSE(stages.misplaced);
    CHECK(stages.read_now == 0);
    CHECK(stages.pixels_now == 0);
    CHECK(stages.most_read <= static_cast<int>(limits.photos));
    CHECK(stages.most_pixels == 10'000);  // the photos of 10 x 1000 pixels went alone
    if (helpers > 1) CHECK(stages.most_read > 1);
  }
}

TEST_CASE("small photos fill the pixels allowed, and no more") {
  Accounts stages;
  stages.side = 10;
  std::vector<Job> jobs;
  for (int i = 0; i < 200; ++i) jobs.push_back({.input = std::to_string(70 * i)});  // none large, none failing
  run_pipeline(jobs, stages, {4, 10, 300}, [](const PhotoWork&) {});
  CHECK(stages.most_pixels == 300);
}

TEST_CASE("what a report throws ends the pipeline and leaves no thread behind") {
  Accounts stages;
  int reports = 0;
  const auto report = [&](const PhotoWork&) {
    if (++reports == 20) throw std::runtime_error("full");
  };
  CHECK_THROWS_AS(run_pipeline(numbered_jobs(1000), stages, {3, 8, 450}, report), std::runtime_error);
  CHECK(reports == 20);
}

TEST_CASE("an exception in a helper thread reaches the caller") {
  struct Throws : Accounts {
    void decode(PhotoWork&) override { throw std::bad_alloc(); }
  } stages;
  CHECK_THROWS_AS(run_pipeline(numbered_jobs(20), stages, {2, 8, 450}, [](const PhotoWork&) {}), std::bad_alloc);
}

TEST_CASE("no jobs are no work") {
  Accounts stages;
  run_pipeline({}, stages, {2, 8, 450}, [](const PhotoWork&) { FAIL("reported"); });
}

}  // namespace mfs::tools
