// The public border: results, sentences and codes, as a user of mfs.h and mfs.hpp meets them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "mfs/mfs.hpp"
#include "tests/runtime/golden_network.h"

namespace {

using mfs::core::test::GoldenNetwork;

struct Fixture {
  GoldenNetwork golden{"multi"};
  mfs::Model model{golden.weights_path, {.device = "cpu", .precision = "f32", .threads = 2}};
  mfs::Image photo{golden.pixels.data(), golden.width, golden.height, 0, MFS_RGB};
  std::vector<mfs::Point> taps{{20.25f, 13.5f}};

  std::vector<float> probability(mfs::Session& session, const mfs::Image& image) const {
    std::vector<float> p(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height));
    mfs_outputs out{};
    out.struct_size = sizeof out;
    out.probability = p.data();
    session.run(image, taps, out);
    return p;
  }
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

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the mask is where the probability exceeds the threshold") {
  mfs::Session session(model);
  const std::vector<float> p = probability(session, photo);
  std::vector<float> sorted = p;
  std::ranges::sort(sorted);
  const float middle = sorted[sorted.size() / 2];
  const mfs::Mask mask = session.segment(photo, taps, middle);
  REQUIRE(mask.pixels.size() == p.size());
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (std::abs(p[i] - middle) > 1e-6f) CHECK(mask.pixels[i] == (p[i] > middle ? 255 : 0));
  }
}

TEST_CASE_FIXTURE(Fixture, "row strides and pixel formats describe the same photo") {
  mfs::Session session(model);
  const std::vector<float> expected = probability(session, photo);
  struct Format {
    mfs_pixel_format format;
    int channels, red, blue;
  };
  for (const Format f : {Format{MFS_RGB, 3, 0, 2}, Format{MFS_BGR, 3, 2, 0}, Format{MFS_RGBA, 4, 0, 2}}) {
    CAPTURE(f.format);
    const int stride = photo.width * f.channels + 13;
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(stride) * static_cast<std::size_t>(photo.height), 77);
    for (int y = 0; y < photo.height; ++y)
      for (int x = 0; x < photo.width; ++x) {
        const std::uint8_t* from = photo.data + (y * photo.width + x) * 3;
        std::uint8_t* to = pixels.data() + y * stride + x * f.channels;
        to[f.red] = from[0], to[1] = from[1], to[f.blue] = from[2];
      }
    const auto p = probability(session, {pixels.data(), photo.width, photo.height, stride, f.format});
    CHECK(std::memcmp(p.data(), expected.data(), p.size() * sizeof(float)) == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "sessions of one model on several threads give the bits of one") {
  mfs::Session alone(model);
  const std::vector<float> expected = probability(alone, photo);
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results)
    threads.emplace_back([&] {
      mfs::Session session(model);
      for (int i = 0; i < 3; ++i) result = probability(session, photo);
    });
  for (auto& t : threads) t.join();
  for (const auto& r : results) CHECK(std::memcmp(r.data(), expected.data(), r.size() * sizeof(float)) == 0);
}

TEST_CASE_FIXTURE(Fixture, "network sizes other than the weights' work, and native follows the photo") {
  mfs::Session wide(model, {.network_width = 128, .network_height = 72});
  mfs::Session native(model, {.native_size = true});
  mfs::Session square(model, {.network_width = 64, .network_height = 64});
  for (const float p : probability(wide, photo)) REQUIRE((p >= 0 && p <= 1));
  CHECK(probability(native, photo) == probability(square, photo));  // 56x40 rounds up to 64x64
  CHECK(native.memory_bytes() > 0);
}

TEST_CASE_FIXTURE(Fixture, "taps outside, odd sizes and impossible options are sentences") {
  mfs::Session session(model);
  const auto run_with = [&](mfs::Point tap) {
    return sentence(MFS_INVALID_ARGUMENT, [&] { session.segment(photo, std::vector{tap}); });
  };
  CHECK(run_with({56, 3}) == "tap 56,3 lies outside the photo of 56x40 pixels");
  CHECK(run_with({-0.6f, 3}).find("outside") != std::string::npos);
  CHECK(run_with({std::numeric_limits<float>::quiet_NaN(), 3}).find("outside") != std::string::npos);
  CHECK_NOTHROW(session.segment(photo, std::vector{mfs::Point{-0.5f, 39.5f}}));
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] { session.segment(photo, {}); }).find("no tap") != std::string::npos);
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] { session.segment({nullptr, 4, 4, 0, MFS_RGB}, taps); }) == "the photo has no data");
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] {
          session.segment({photo.data, 1 << 20, 1 << 20, 0, MFS_RGB}, taps);
        }).find("too large") != std::string::npos);
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] {
          session.segment({photo.data, 4, 4, 5, MFS_RGB}, taps);
        }).find("row stride") != std::string::npos);
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] { session.segment(photo, taps, 1.5f); }).find("threshold") != std::string::npos);
  for (const int side : {63, 60, 100001, -8}) {
    CAPTURE(side);
    CHECK(sentence(MFS_INVALID_ARGUMENT, [&] {
            mfs::Session(model, {.network_width = side, .network_height = 64});
          }).find("multiple of 8") != std::string::npos);
  }
}

TEST_CASE("sizes of a VGG network are multiples of 32") {
  const GoldenNetwork golden("vgg_early");
  const mfs::Model model(golden.weights_path, {.device = "cpu", .precision = "f32", .threads = 2});
  CHECK(std::string(model.info().variant) == "vgg-early");
  const auto network_of = [&](int width, int height) {
    return mfs::Session(model, {.network_width = width, .network_height = height});
  };
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] { network_of(64, 72); }) ==
        "network size 64x72: each side must be a multiple of 32 from 64 to 8192 for a VGG network");
  CHECK(sentence(MFS_INVALID_ARGUMENT, [&] { network_of(32, 64); }).find("multiple of 32") != std::string::npos);
  // Of 112, 80 and 47: two halves, which go up, and what is nearest to 32, but 64 is the least.
  std::vector<std::uint8_t> pixels(112 * 80 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i / 40 * 97);
  const mfs::Image wide{pixels.data(), 112, 80, 0, MFS_RGB}, narrow{pixels.data(), 112, 47, 0, MFS_RGB};
  const std::vector<mfs::Point> taps{{20, 30}};
  mfs::Session native(model, {.native_size = true});
  CHECK(native.segment(wide, taps).pixels == network_of(128, 96).segment(wide, taps).pixels);
  CHECK(native.segment(narrow, taps).pixels == network_of(128, 64).segment(narrow, taps).pixels);
}

TEST_CASE_FIXTURE(Fixture, "devices and precisions that are not there") {
  const auto load = [&](mfs_status status, const char* device, const char* precision) {
    return sentence(status, [&] { mfs::Model(golden.weights_path, {.device = device, .precision = precision}); });
  };
  CHECK(load(MFS_NO_DEVICE, "cuda", "auto").find("cuda") != std::string::npos);
  CHECK(load(MFS_INVALID_ARGUMENT, "gpu", "auto").find("unknown device 'gpu'") != std::string::npos);
  CHECK(load(MFS_UNSUPPORTED, "cpu", "fp8").find("fp8") != std::string::npos);
  CHECK(load(MFS_INVALID_ARGUMENT, "cpu", "f64").find("f64") != std::string::npos);
  CHECK(sentence(MFS_BAD_WEIGHTS, [] { mfs::Model("/nonexistent.safetensors"); }).find("/nonexistent.safetensors") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "information, timings and profile") {
  const mfs::ModelInfo info = model.info();
  CHECK(std::string(info.variant) == "resnet-multi");
  CHECK(std::string(info.precision) == "f32");
  CHECK(info.network_width == 64);
  CHECK(info.uses_taps == 1);
  mfs::Session session(model);
  session.set_profiling(true);
  probability(session, photo);
  const auto profile = session.profile();
  REQUIRE(profile.size() > 20);
  double sum = 0;
  for (const auto& entry : profile) sum += entry.microseconds;
  CHECK(sum > 0);
  CHECK(sum <= 1.05e3 * session.timings().infer);
  CHECK(std::string(profile[0].name) == "conv1 + init.0");
}

TEST_CASE("null pointers are errors, not crashes") {
  mfs_error error{};
  CHECK(mfs_model_load(nullptr, nullptr, nullptr, &error) == MFS_INVALID_ARGUMENT);
  CHECK(std::strlen(error.message) > 0);
  CHECK(mfs_session_create(nullptr, nullptr, nullptr, nullptr) == MFS_INVALID_ARGUMENT);
  CHECK(mfs_session_run(nullptr, nullptr, nullptr, 0, nullptr, nullptr) == MFS_INVALID_ARGUMENT);
  CHECK(mfs_model_get_info(nullptr, nullptr, nullptr) == MFS_INVALID_ARGUMENT);
  CHECK(mfs_cut_out(nullptr, nullptr, 0, nullptr, 0, nullptr) == MFS_INVALID_ARGUMENT);
  CHECK(mfs_session_profile(nullptr, nullptr, 0) == 0);
  mfs_model_destroy(nullptr);
  mfs_session_destroy(nullptr);
  CHECK(mfs_abi_version() == MFS_ABI_VERSION);
}
