// A run allocates nothing of ours and takes no lock of ours, from the second on, or from the first on within a session's
// limits. oneDNN (arguments of its primitives) and OpenMP (nothing, once its threads exist) are counted and bounded.
#include <doctest/doctest.h>

#include "mfs/mfs.hpp"
#include "tests/runtime/guarantees/interposed.h"
#include "tests/runtime/guarantees/support.h"

namespace mfs::test {
namespace {

using core::test::GoldenNetwork;

struct Handles {
  ~Handles() {
    mfs_session_destroy(session);
    mfs_model_destroy(model);
  }
  mfs_model* model = nullptr;
  mfs_session* session = nullptr;
};

// A convolution is one execution of a primitive: at most six arguments, a stream, and what oneDNN makes for itself (4 to 6 in
// all are seen). A Winograd convolution is one for every chunk of its tiles; these small networks have a few.
constexpr long kMostOfOneDnn = 12;

void check_steady(const Calls& calls, long runs, std::size_t steps) {
  CHECK(calls.ours == 0);
  CHECK(calls.locks == 0);
  CHECK(calls.others == 0);
  CHECK(calls.openmp == 0);
  CHECK(calls.onednn <= runs * static_cast<long>(steps) * kMostOfOneDnn);
  MESSAGE("oneDNN: " << static_cast<double>(calls.onednn) / static_cast<double>(runs) << " allocations in a run of " << steps
                     << " steps");
}

void run_steadily(const GoldenNetwork& golden, const char* precision, int threads, bool limits, bool profiling,
                  bool zoom_in = false, bool refine = false) {
  CAPTURE(std::string(precision));
  CAPTURE(threads);
  CAPTURE(limits);
  mfs_error error{};
  Handles h;
  mfs_model_options model{};
  model.struct_size = sizeof model;
  model.device = "cpu", model.precision = precision, model.threads = threads;
  const mfs_status loaded = mfs_model_load(golden.weights_path.c_str(), &model, &h.model, &error);
  if (loaded == MFS_UNSUPPORTED) {
    MESSAGE("skipped: " << error.message);
    return;
  }
  REQUIRE(loaded == MFS_OK);
  mfs_session_options options{};
  options.struct_size = sizeof options;
  options.max_batch = 2;
  options.zoom_in = zoom_in;
  options.refine = refine;
  if (limits) options.max_width = 90, options.max_height = 80;
  REQUIRE(mfs_session_create(h.model, &options, &h.session, &error) == MFS_OK);
  mfs_session_set_profiling(h.session, profiling);

  Photo small(40, 56, 1), large(90, 80, 2);
  const mfs_request both[] = {small.request, large.request};
  const int runs = long_form() ? 1000 : 5;
  if (limits) {
    Photo other(10, 10, 3);  // OpenMP's threads start, and oneDNN makes its kernels' tables
    const mfs_request start[] = {other.request, other.request};
    REQUIRE(mfs_session_run_batch(h.session, start, 2, &error) == MFS_OK);
  } else {
    REQUIRE(mfs_session_run_batch(h.session, both, 2, &error) == MFS_OK);
  }
  const Watch watch;
  bool all = true;
  for (int i = 0; i < runs; ++i) all = all && mfs_session_run_batch(h.session, both, 2, &error) == MFS_OK;
  const Calls calls = watch.calls();
  CHECK(all);
  check_steady(calls, zoom_in ? 2 * runs : runs, mfs_session_profile(h.session, nullptr, 0));
}

}  // namespace

TEST_CASE("the watch sees what it should") {
  const Watch watch;
  const std::string* made = new std::string(100, 'x');
  const Calls calls = watch.calls();
  CHECK(calls.ours == 2);
  CHECK(calls.onednn == 0);
  delete made;
}

TEST_CASE("a run allocates nothing and locks nothing of ours") {
  const GoldenNetwork golden("multi");
  for (const char* precision : {"f32", "bf16"})
    for (const int threads : {1, 2}) run_steadily(golden, precision, threads, false, false);
}

TEST_CASE("within a session's limits, not even the first run at a photo's size") {
  run_steadily(GoldenNetwork("multi"), "f32", 2, true, false);
}

TEST_CASE("nor when it looks twice") { run_steadily(GoldenNetwork("multi"), "f32", 2, true, false, true); }

TEST_CASE("nor when it refines") {
  for (const bool limits : {false, true}) run_steadily(GoldenNetwork("multi"), "f32", 2, limits, false, true, true);
}

TEST_CASE("nor in int8") {
  GoldenNetwork golden("multi");
  {
    const mfs::Model model(golden.weights_path, {.device = "cpu", .precision = "f32", .threads = 2});
    mfs::Session session(model);
    session.set_observing(true);
    const Photo photo(40, 56, 1);
    session.run(photo.image, {&photo.tap, 1}, photo.outputs);
    session.write_calibrated(golden.weights_path);
  }
  for (const int threads : {1, 2}) run_steadily(golden, "int8", threads, true, false);
}

TEST_CASE("nor while profiling") { run_steadily(GoldenNetwork("early_layer4_conv2"), "f32", 1, false, true); }

}  // namespace mfs::test
