// An allocation that fails, at any point of ours: an error with a sentence, no crash, no leak, and the next call works.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <utility>

#include "tests/runtime/guarantees/interposed.h"
#include "tests/runtime/guarantees/support.h"

namespace mfs::test {
namespace {

using core::test::GoldenNetwork;

struct World {
  explicit World(const char* network) : golden(network), photo(40, 56, 1), second(20, 10, 2) {
    model_options.struct_size = sizeof model_options;
    model_options.device = "cpu", model_options.precision = "f32", model_options.threads = 1;
    session_options.struct_size = sizeof session_options;
    session_options.max_batch = 2;
  }
  mfs_status load(mfs_error& error) { return mfs_model_load(golden.weights_path.c_str(), &model_options, &model, &error); }
  mfs_status create(mfs_error& error) { return mfs_session_create(model, &session_options, &session, &error); }
  void drop_session() { mfs_session_destroy(std::exchange(session, nullptr)); }
  void drop() {
    drop_session();
    mfs_model_destroy(std::exchange(model, nullptr));
  }

  GoldenNetwork golden;
  Photo photo, second;
  mfs_model_options model_options{};
  mfs_session_options session_options{};
  mfs_model* model = nullptr;
  mfs_session* session = nullptr;
};

// Calls `act` with allocation 0, 1, 2, ... failing until it gets through without one; in the short form, about `most` of them.
// `undo` puts the world back after a success.
void fail_everywhere(const char* what, int most, const std::function<mfs_status(mfs_error&)>& act,
                     const std::function<void()>& undo) {
  CAPTURE(std::string(what));
  mfs_error error{};
  REQUIRE(act(error) == MFS_OK);
  undo();
  long points = 0;
  {
    const Watch watch;
    REQUIRE(act(error) == MFS_OK);
    points = watch.calls().ours;
  }
  undo();
  const long step = long_form() ? 1 : std::max(1L, points / most);
  long failures = 0;
  for (const bool all : {false, true}) {
    const long before = live_blocks();
    for (long nth = all ? step / 2 : 0; nth < points; nth += step) {
      CAPTURE(nth);
      CAPTURE(all);
      std::memset(&error, 0, sizeof error);
      mfs_status status = MFS_OK;
      bool happened = false;
      {
        const FailingAllocation failing(nth, all);
        status = act(error);
        happened = failing.happened();
      }
      if (status == MFS_OK) {  // it was one that can be done without, or was never reached
        undo();
        continue;
      }
      ++failures;
      REQUIRE(happened);
      REQUIRE(status == MFS_OUT_OF_MEMORY);
      REQUIRE(std::strlen(error.message) > 0);
    }
    REQUIRE(act(error) == MFS_OK);
    undo();
    CHECK(live_blocks() <= before);
  }
  CHECK((points == 0 || failures > 0));
  MESSAGE(std::string(what) << ": " << points << " allocations, " << failures << " failures");
}

}  // namespace

TEST_CASE("an allocation that fails is an error, never a crash or a leak") {
  World w("multi");
  fail_everywhere(
      "load", 40, [&](mfs_error& e) { return w.load(e); }, [&] { w.drop(); });
  mfs_error error{};
  REQUIRE(w.load(error) == MFS_OK);
  fail_everywhere(
      "create, weights packed", 60, [&](mfs_error& e) { return w.create(e); }, [&] { w.drop_session(); });
  fail_everywhere(
      "load and create", 30,
      [&](mfs_error& e) {
        w.drop();
        const mfs_status loaded = w.load(e);
        return loaded == MFS_OK ? w.create(e) : loaded;
      },
      [&] { w.drop(); });
  REQUIRE(w.load(error) == MFS_OK);

  const mfs_request both[] = {w.photo.request, w.second.request};
  fail_everywhere(
      "first runs", 40,
      [&](mfs_error& e) {
        if (!w.session)
          if (const mfs_status s = w.create(e); s != MFS_OK) return s;
        const mfs_status s = mfs_session_run(w.session, &w.photo.image, &w.photo.tap, 1, &w.photo.outputs, &e);
        return s == MFS_OK ? mfs_session_run_batch(w.session, both, 2, &e) : s;
      },
      [&] { w.drop_session(); });
  w.drop_session();
  w.session_options.zoom_in = 1, w.session_options.refine = 1;
  fail_everywhere(
      "create, look twice and refine", 40,
      [&](mfs_error& e) {
        if (!w.session)
          if (const mfs_status s = w.create(e); s != MFS_OK) return s;
        return mfs_session_run_batch(w.session, both, 2, &e);
      },
      [&] { w.drop_session(); });
  w.session_options.zoom_in = 0, w.session_options.refine = 0;
  w.drop_session();
  REQUIRE(w.create(error) == MFS_OK);
  fail_everywhere(
      "warm-up", 40, [&](mfs_error& e) { return mfs_session_warm_up(w.session, 300, 200, 1, &e); },
      [&] {
        w.drop_session();
        REQUIRE(w.create(error) == MFS_OK);
      });
  mfs_memory memory{};
  fail_everywhere(
      "memory query", 20, [&](mfs_error& e) { return mfs_session_memory_needed(w.model, &w.session_options, &memory, &e); },
      [] {});
  const mfs_map map{w.photo.probability.data(), 40, 56, 0};
  std::vector<std::uint8_t> out(40 * 56 * 3);
  REQUIRE(mfs_session_run(w.session, &w.photo.image, &w.photo.tap, 1, &w.photo.outputs, &error) == MFS_OK);
  fail_everywhere(
      "blur", 20, [&](mfs_error& e) { return mfs_blur_background(&w.photo.image, &map, 3, 1, out.data(), 0, &e); }, [] {});
  const std::string calibrated =
      std::filesystem::temp_directory_path() / ("mfs_failing_" + std::to_string(getpid()) + ".safetensors");
  fail_everywhere(
      "calibrate", 40,
      [&](mfs_error& e) {
        mfs_status s = mfs_session_set_observing(w.session, 1, &e);
        if (s == MFS_OK) s = mfs_session_run(w.session, &w.photo.image, &w.photo.tap, 1, &w.photo.outputs, &e);
        return s == MFS_OK ? mfs_session_write_calibrated(w.session, calibrated.c_str(), &e) : s;
      },
      [&] {
        w.drop_session();
        REQUIRE(w.create(error) == MFS_OK);
      });
  // A sentence needs memory, too.
  mfs_point outside{1000, 1000};
  for (long nth = 0; nth < 12; ++nth) {
    const FailingAllocation failing(nth, true);
    const mfs_status status = mfs_session_run(w.session, &w.photo.image, &outside, 1, &w.photo.outputs, &error);
    CHECK((status == MFS_INVALID_ARGUMENT || status == MFS_OUT_OF_MEMORY));
  }
  w.drop();
  World int8("multi");
  int8.golden.weights_path = calibrated;
  int8.model_options.precision = "int8";
  fail_everywhere(
      "load and create, int8", 30,
      [&](mfs_error& e) {
        int8.drop();
        const mfs_status loaded = int8.load(e);
        return loaded == MFS_OK ? int8.create(e) : loaded;
      },
      [&] { int8.drop(); });
  std::filesystem::remove(calibrated);
}

TEST_CASE("models and sessions made and destroyed leave nothing behind") {
  World w("multi");
  mfs_error error{};
  const int rounds = long_form() ? 10'000 : 200, settled = 20;
  long before = 0;
  for (int i = 0; i < rounds; ++i) {
    if (i % 20 == 0) {
      w.drop();
      REQUIRE(w.load(error) == MFS_OK);
    }
    REQUIRE(w.create(error) == MFS_OK);
    if (i % 10 == 0) REQUIRE(mfs_session_run(w.session, &w.photo.image, &w.photo.tap, 1, &w.photo.outputs, &error) == MFS_OK);
    w.drop_session();
    if (i == settled) before = live_blocks();
  }
  w.drop();
  CHECK(live_blocks() <= before);
}

}  // namespace mfs::test
