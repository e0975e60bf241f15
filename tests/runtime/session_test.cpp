// Sessions as an embedding program uses them: batches, limits, memory, misuse, and everything absurd that can be passed in.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <numeric>
#include <thread>

#include "mfs/mfs.hpp"
#include "tests/runtime/golden_network.h"

namespace {

using mfs::core::test::GoldenNetwork;

struct Photo {
  int width, height;
  std::vector<std::uint8_t> pixels;
  mfs_pixel_format format = MFS_RGB;

  mfs::Image image() const { return {pixels.data(), width, height, 0, format}; }
};

Photo noise(int width, int height, mfs_pixel_format format = MFS_RGB) {
  const int channels = format == MFS_GREY ? 1 : format == MFS_RGBA ? 4 : 3;
  Photo p{width, height, std::vector<std::uint8_t>(std::size_t(width) * height * channels), format};
  std::uint32_t state = 7;
  for (std::uint8_t& v : p.pixels) v = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  return p;
}

// Room for both results, and the request that fills it.
struct Run {
  Run(const Photo& photo, std::vector<mfs::Point> at)
      : image(photo.image()),
        taps(std::move(at)),
        mask(std::size_t(photo.width) * photo.height, 77),
        probability(mask.size(), -1.0f) {
    outputs.struct_size = sizeof outputs;
    outputs.mask = mask.data(), outputs.probability = probability.data();
    request = {&image, taps.data(), taps.size(), &outputs};
  }
  Run(const Run&) = delete;

  mfs::Image image;
  std::vector<mfs::Point> taps;
  std::vector<std::uint8_t> mask;
  std::vector<float> probability;
  mfs_outputs outputs{};
  mfs::Request request{};
};

struct Fixture {
  GoldenNetwork golden{"multi"};
  mfs::Model model{golden.weights_path, {.device = "cpu", .precision = "f32", .threads = 2}};
  Photo photo{golden.width, golden.height, golden.pixels};
  std::vector<mfs::Point> taps{{20.25f, 13.5f}};
};

template <typename Body>
std::string sentence(mfs_status wanted, const Body& body) {
  try {
    body();
  } catch (const mfs::Error& e) {
    CHECK(e.status() == wanted);
    return e.what();
  }
  FAIL("no error");
  return {};
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

// The same products in sums that may be cut elsewhere: a few roundings of f32.
TEST_CASE_FIXTURE(Fixture, "photos of a batch get what each gets alone") {
  const Photo wide = noise(150, 31, MFS_GREY), tall = noise(33, 90, MFS_RGBA);
  Run a(photo, taps), b(wide, {{149.5f, 0}, {3, 30}}), c(tall, {{0, 89}});
  mfs::Session together(model, {.max_batch = 3}), alone(model);
  for (const std::size_t count : {std::size_t{3}, std::size_t{2}, std::size_t{1}}) {
    CAPTURE(count);
    Run* const all[] = {&a, &b, &c};
    std::vector<mfs::Request> requests;
    for (std::size_t i = 0; i < count; ++i) requests.push_back(all[i]->request);
    for (Run* r : all) std::ranges::fill(r->probability, -1.0f), std::ranges::fill(r->mask, std::uint8_t{77});
    together.run(requests);
    for (std::size_t i = 0; i < 3; ++i) {
      CAPTURE(i);
      if (i >= count) {
        CHECK(all[i]->probability[0] == -1.0f);
        continue;
      }
      const std::vector<float> batched = all[i]->probability;
      const std::vector<std::uint8_t> mask = all[i]->mask;
      for (std::size_t k = 0; k < mask.size(); ++k) REQUIRE(mask[k] == (batched[k] > 0.5f ? 255 : 0));
      alone.run(all[i]->image, all[i]->taps, all[i]->outputs);
      for (std::size_t k = 0; k < batched.size(); ++k)
        REQUIRE(std::abs(double{batched[k]} - double{all[i]->probability[k]}) <= 1e-5);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "one bad photo stops a batch before it begins, and is named") {
  Run good(photo, taps), bad(photo, {{1000, 0}});
  mfs::Session session(model, {.max_batch = 2});
  const mfs::Request requests[] = {good.request, bad.request};
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] { session.run(requests); }) ==
        "photo 2 of 2: tap 1000,0 lies outside the photo of 56x40 pixels");
  CHECK(good.mask[0] == 77);
  const mfs::Request three[] = {good.request, good.request, good.request};
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { session.run(three); }), "takes 1 to 2"));
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { session.run(std::span<const mfs::Request>()); }), "no photo"));
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, {.max_batch = 65}); }), "max_batch"));
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, {.max_batch = -1}); }), "max_batch"));
}

TEST_CASE_FIXTURE(Fixture, "at native size the photos of a batch share a network size") {
  mfs::Session session(model, {.native_size = true, .max_batch = 2});
  const Photo similar = noise(60, 44), larger = noise(200, 100);
  Run a(photo, taps), b(similar, taps), c(larger, taps);
  const mfs::Request same[] = {a.request, b.request}, mixed[] = {a.request, c.request};
  CHECK_NOTHROW(session.run(same));
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { session.run(mixed); }), "one network size"));
  CHECK_NOTHROW(session.run({&c.request, 1}));
}

TEST_CASE_FIXTURE(Fixture, "the memory a session needs is known before, and may be the caller's") {
  const mfs::SessionOptions limits{.max_batch = 2, .max_width = 300, .max_height = 200};
  const mfs::Memory needed = mfs::Session::memory_needed(model, limits);
  REQUIRE(needed.alignment == 256);
  mfs::Session own(model, limits);
  CHECK(own.memory_bytes() <= needed.bytes);
  CHECK(own.memory_bytes() + needed.alignment > needed.bytes);

  std::vector<std::byte> memory(needed.bytes + 2 * needed.alignment, std::byte{0x5a});
  void* begin = memory.data();
  std::size_t space = memory.size();
  REQUIRE(std::align(needed.alignment, needed.bytes, begin, space));
  mfs::SessionOptions with_memory = limits;
  with_memory.memory = {static_cast<std::byte*>(begin), needed.bytes};
  mfs::Session borrowed(model, with_memory);
  const Photo large = noise(300, 200, MFS_RGBA);
  Run a(photo, taps), b(large, {{299, 199}}), c(photo, taps);
  const mfs::Request two[] = {a.request, b.request};
  borrowed.run(two);
  mfs::Session(model, limits).run({&c.request, 1});
  CHECK(std::abs(double{a.probability[0]} - double{c.probability[0]}) <= 1e-5);
  const auto* end = with_memory.memory.data() + needed.bytes;
  CHECK(std::all_of(end, static_cast<const std::byte*>(memory.data() + memory.size()),
                    [](std::byte v) { return v == std::byte{0x5a}; }));
  CHECK(std::all_of(static_cast<const std::byte*>(memory.data()), static_cast<const std::byte*>(begin),
                    [](std::byte v) { return v == std::byte{0x5a}; }));

  with_memory.memory = with_memory.memory.first(needed.bytes - 64);
  CHECK(contains(sentence(MFS_OUT_OF_MEMORY, [&] { mfs::Session(model, with_memory); }), "are needed"));
  with_memory.memory = with_memory.memory.subspan(64);
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, with_memory); }), "aligned to 256"));
  with_memory.max_width = with_memory.max_height = 0;
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, with_memory); }), "max_width and max_height"));
  CHECK(contains(sentence(MFS_UNSUPPORTED, [&] { mfs::Session::memory_needed(model, {.native_size = true}); }), "native"));
}

TEST_CASE_FIXTURE(Fixture, "limits hold: a larger photo is a sentence, the memory stays") {
  mfs::Session session(model, {.max_width = 60, .max_height = 50});
  const std::size_t before = session.memory_bytes();
  session.segment(photo.image(), {{1, 1}});
  const Photo tall = noise(60, 51);
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] {
          session.segment(tall.image(), {{1, 1}});
        }) == "a photo of 60x51 pixels is larger than the session's limit of 60x50");
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { session.warm_up(61, 50); }), "larger than"));
  session.warm_up(60, 50);
  CHECK(session.memory_bytes() == before);
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, {.max_width = 60}); }), "together"));
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, {.max_width = 2'000'000, .max_height = 5}); }),
                 "too large"));
}

TEST_CASE_FIXTURE(Fixture, "warm-up plans, allocates and refuses as a run does") {
  mfs::Session session(model, {.native_size = true, .max_batch = 2});
  CHECK(session.memory_bytes() == 0);
  session.warm_up(100, 70, 2);
  const std::size_t after = session.memory_bytes();
  CHECK(after > 0);
  const Photo same = noise(100, 70);
  Run a(same, taps), b(same, taps);
  const mfs::Request two[] = {a.request, b.request};
  session.run(two);
  CHECK(session.memory_bytes() == after);
  for (const auto& [width, height, batch] :
       {std::array{0, 5, 1}, {5, -1, 1}, {5, 5, 0}, {5, 5, 3}, {5, 5, -1}, {1 << 21, 1, 1}})
    sentence(MFS_INVALID_ARGUMENT, [&, w = width, h = height, n = batch] { session.warm_up(w, h, n); });
}

TEST_CASE_FIXTURE(Fixture, "a session outlives its model's handle") {
  Run a(photo, taps), b(photo, taps);
  auto short_lived =
      std::make_unique<mfs::Model>(golden.weights_path, mfs::ModelOptions{.device = "cpu", .precision = "f32", .threads = 1});
  mfs::Session session(*short_lived, {.native_size = true});
  session.run({&a.request, 1});
  short_lived.reset();
  session.run({&b.request, 1});
  CHECK(a.probability == b.probability);
  CHECK_NOTHROW(session.warm_up(200, 100));
}

TEST_CASE_FIXTURE(Fixture, "two threads in one session are found out") {
  mfs::Session session(model, {.network_width = 256, .network_height = 256});
  std::atomic<bool> met = false;
  std::string said[2];
  const auto run_until_met = [&](std::string& mine) {
    Run own(photo, taps);
    for (int i = 0; i < 200 && !met; ++i) {
      try {
        session.run({&own.request, 1});
      } catch (const mfs::Error& e) {
        mine = e.what();
        met = true;
      }
    }
  };
  std::thread other([&] { run_until_met(said[1]); });
  run_until_met(said[0]);
  other.join();
  CHECK(met);
  for (const std::string& s : said)
    if (!s.empty()) CHECK(s == "the session is in use by another thread; use one session per thread");
  CHECK_NOTHROW(session.segment(photo.image(), taps));
}

TEST_CASE_FIXTURE(Fixture, "what only a GPU can do is a sentence on the CPU") {
  Run a(photo, taps);
  mfs::Session session(model);
  CHECK(contains(sentence(MFS_UNSUPPORTED, [&] { session.enqueue(nullptr, {&a.request, 1}); }), "CUDA"));
  CHECK(contains(sentence(MFS_INVALID_ARGUMENT, [&] { mfs::Session(model, {.device_photos_only = true}); }), "is for GPUs"));
}

TEST_CASE_FIXTURE(Fixture, "photos of extreme shapes are segmented to their last pixel") {
  mfs::Session session(model);
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 2}, {30'000, 2}, {2, 30'000}, {1, 5000}, {65, 63}}) {
    CAPTURE(width);
    const Photo p = noise(width, height);
    Run r(p, {{static_cast<float>(width - 1), static_cast<float>(height - 1)}});
    session.run({&r.request, 1});
    CHECK(std::ranges::all_of(r.probability, [](float v) { return v >= 0 && v <= 1; }));
    CHECK(std::ranges::none_of(r.mask, [](std::uint8_t v) { return v == 77; }));
  }
}

TEST_CASE_FIXTURE(Fixture, "absurd numbers are sentences") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr int kLargest = std::numeric_limits<int>::max();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  mfs::Session session(model);
  const auto refused = [&](const auto& change) {
    Run r(photo, taps);
    change(r);
    mfs_error error{};
    CHECK(mfs_session_run_batch(session.handle(), &r.request, 1, &error) == MFS_INVALID_ARGUMENT);
    CHECK(std::strlen(error.message) > 10);
    CHECK(r.mask[0] == 77);
  };
  for (const int side : {0, -1, std::numeric_limits<int>::min(), (1 << 20) + 1, kLargest}) {
    CAPTURE(side);
    refused([&](Run& r) { r.image.width = side; });
    refused([&](Run& r) { r.image.height = side; });
    refused([&](Run& r) { r.image.width = r.image.height = side; });
  }
  for (const std::int64_t stride :
       {std::int64_t{1}, std::int64_t{-168}, kMost, kMost / 40 + 1, std::numeric_limits<std::int64_t>::min()}) {
    CAPTURE(stride);
    refused([&](Run& r) { r.image.row_stride = stride; });
    refused([&](Run& r) { r.outputs.mask_row_stride = stride; });
    refused([&](Run& r) { r.outputs.probability_row_stride = stride; });
  }
  refused([](Run& r) { r.outputs.probability_row_stride = 4 * 56 + 1; });
  refused([](Run& r) { r.image.width = 1 << 16, r.image.height = 1 << 15; });  // 2^31 pixels
  for (const int format : {-1, 4, kLargest}) refused([&](Run& r) { r.image.format = static_cast<mfs_pixel_format>(format); });
  for (const float t : {-0.5f, 1.0f, kNan, kInf}) refused([&](Run& r) { r.outputs.threshold = t; });
  for (const float x : {kNan, kInf, -kInf, 56.0f, -0.51f, 1e30f}) refused([&](Run& r) { r.taps[0].x = x; });
  refused([](Run& r) { r.request.taps = nullptr; });
  refused([](Run& r) { r.request.tap_count = 0; });
  refused([](Run& r) { r.request.image = nullptr; });
  refused([](Run& r) { r.image.data = nullptr; });
  refused([](Run& r) { r.request.outputs = nullptr; });
  refused([](Run& r) { r.outputs.struct_size = 0; });
  refused([](Run& r) { r.outputs.struct_size = 7; });
}

TEST_CASE_FIXTURE(Fixture, "effects refuse what makes no sense, and take the smallest photo") {
  const Photo p = noise(1, 1);
  const mfs::Image image = p.image();
  const float one = 1;
  const mfs::Map map{&one, 1, 1, 0};
  std::uint8_t out[4] = {};
  CHECK(mfs_cut_out(&image, &map, 1, out, 0, nullptr) == MFS_OK);
  CHECK(mfs_blur_background(&image, &map, 3, 1, out, 0, nullptr) == MFS_OK);
  CHECK(mfs_overlay(&image, &map, 0.5f, nullptr, 0, 1, out, 0, nullptr) == MFS_OK);
  const auto overlaid = [&](float threshold) {
    const float probability = 0.4f;
    const mfs::Map middle{&probability, 1, 1, 0};
    CHECK(mfs_overlay(&image, &middle, threshold, nullptr, 0, 1, out, 0, nullptr) == MFS_OK);
    return std::vector(out, out + 3);
  };
  CHECK(overlaid(0) == overlaid(0.5f));
  CHECK(overlaid(0) != overlaid(0.3f));
  mfs::Image wide = image;
  wide.width = std::numeric_limits<int>::max();
  mfs::Map other = map;
  other.width = 2;
  using Case = std::tuple<const mfs::Image*, const mfs::Map*, std::int64_t>;
  for (const auto& [i, m, stride] : {Case{&wide, &map, 0}, Case{&image, &other, 0}, Case{&image, &map, -1}}) {
    CHECK(mfs_cut_out(i, m, 1, out, stride, nullptr) == MFS_INVALID_ARGUMENT);
    CHECK(mfs_blur_background(i, m, 3, 1, out, stride, nullptr) == MFS_INVALID_ARGUMENT);
    CHECK(mfs_overlay(i, m, 0.5f, nullptr, 0, 1, out, stride, nullptr) == MFS_INVALID_ARGUMENT);
  }
}

TEST_CASE_FIXTURE(Fixture, "a weights file damaged after loading: plans go on, new ones are right or a sentence") {
  Run before(photo, taps), after(photo, taps);
  mfs::Session session(model);
  session.run({&before.request, 1});
  std::filesystem::resize_file(golden.weights_path, 4096);
  session.run({&after.request, 1});
  CHECK(before.probability == after.probability);
  const std::string said =
      sentence(MFS_BAD_WEIGHTS, [&] { mfs::Session(model, {.network_width = 512, .network_height = 512}); });
  CHECK(contains(said, "changed after it had been loaded"));
}
