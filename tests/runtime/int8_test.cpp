// int8: what is rounded, how its ranges are found, and what becomes of the probabilities.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <ranges>
#include <set>

#include "kernels/error.h"
#include "layers/network.h"
#include "mfs/mfs.hpp"
#include "runtime/cpu_executor.h"
#include "runtime/quantisation.h"
#include "runtime/range_statistics.h"
#include "tests/runtime/golden_network.h"

using namespace mfs::core;

namespace {

Lowered lowered(const std::string& name) {
  const test::GoldenNetwork golden(name);
  return lower(build_network(*WeightsFile::open(golden.weights_path), 64, 64), {});
}

Calibration ranges_of_one(const Lowered& network) {
  Calibration c{.photos = 1, .ranges = {}};
  for (const QuantisedValue& v : quantised_values(network)) c.ranges[v.name] = 1;
  return c;
}

std::vector<float> probability(CpuExecutor& executor, const test::GoldenNetwork& golden) {
  std::vector<float> p(golden.pixels.size() / 3);
  REQUIRE(executor.run({.image = golden.photo(),
                        .taps = golden.taps,
                        .probability = p.data(),
                        .probability_stride = std::int64_t{golden.width} * 4}));
  return p;
}

View row(const std::vector<float>& values) { return {values.data(), DType::kF32, {1, 1, 1, static_cast<int>(values.size())}}; }

float range_of(const std::vector<std::vector<float>>& parts) {
  RangeStatistics statistics;
  for (const auto& part : parts) statistics.add("values", row(part));
  statistics.count_photos(1);
  return statistics.calibration().ranges.at("values");
}

struct TemporaryFile {
  std::string path = std::filesystem::temp_directory_path() / ("mfs_calibrated_" + std::to_string(getpid()) + ".safetensors");
  ~TemporaryFile() { std::filesystem::remove(path); }
};

template <typename Body>
std::string sentence(const Body& body) {
  try {
    body();
  } catch (const std::exception& e) {
    return e.what();
  }
  FAIL("no error");
  return {};
}

}  // namespace

TEST_CASE("convolutions of maps are int8; the stem, context, sums and the head are not") {
  Lowered network = lowered("multi");
  const auto before = quantised_values(network);
  std::set<std::string> names;
  for (const QuantisedValue& v : before) names.insert(v.name);
  for (const char* name :
       {"pooled", "init", "layer1.0.conv1", "layer1.0.conv3", "layer3.0.conv2", "fusion.0.conv1", "fusion.2.se"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
  for (const char* name : {"conv1", "layer1.0.downsample.0", "fusion.0.conv2", "pyramid_pool", "layer5.bottleneck.0"}) {
    CAPTURE(name);
    CHECK_FALSE(names.contains(name));
  }

  quantise(network, ranges_of_one(network), {});
  const auto buffer = [&](const Place& p) -> const Buffer& { return network.buffers[static_cast<std::size_t>(p.buffer)]; };
  std::size_t from_u8 = 0, to_u8 = 0, steps = 0;
  for (const LoweredOp& op : network.ops) {
    CAPTURE(op.name);
    for (const Place& p : access_of(op.step).reads)
      if (buffer(p).dtype == DType::kU8) {
        const auto* conv = std::get_if<ConvStep>(&op.step);  // nothing else reads u8
        REQUIRE(conv);
        CHECK(p.buffer == conv->src.buffer);
        CHECK(buffer(p).scale == 1 / 255.0f);
        CHECK(buffer(p).shape.c >= conv->src.first_channel + conv->src.shape.c);
      }
    if (const auto* conv = std::get_if<ConvStep>(&op.step)) {
      from_u8 += buffer(conv->src).dtype == DType::kU8;
      to_u8 += buffer(conv->dst).dtype == DType::kU8;
      if (conv->residual) CHECK(buffer(conv->residual).dtype == DType::kF32);
    }
    steps += std::holds_alternative<QuantiseStep>(op.step);
  }
  CHECK(to_u8 + steps == before.size());
  CHECK(to_u8 >= 2 * 3);  // conv1 and conv2 of the bottlenecks
  CHECK(from_u8 > before.size());
  CHECK(buffer(network.output).dtype == DType::kF32);
}

TEST_CASE("engines that join shortcuts round no value that others do not") {
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    const test::GoldenNetwork golden(name);
    const Graph graph = build_network(*WeightsFile::open(golden.weights_path), 64, 64);
    std::set<std::string> alone;
    for (const QuantisedValue& v : quantised_values(lower(graph, {}))) alone.insert(v.name);
    for (const QuantisedValue& v : quantised_values(lower(graph, {.dtype = DType::kF16, .join_sources = true}))) {
      CAPTURE(v.name);
      CHECK(alone.contains(v.name));
    }
  }
}

TEST_CASE("a range that is missing, or of nothing, is a sentence") {
  const auto with = [](const auto& change) {
    Lowered network = lowered("multi");
    Calibration c = ranges_of_one(network);
    change(c);
    return sentence([&] { quantise(network, c, {}); });
  };
  CHECK(with([](Calibration& c) { c.ranges.erase("layer1.0.conv1"); }) ==
        "mfs.calibration has no range for layer1.0.conv1; calibrate again with mfs_calibrate");
  CHECK(with([](Calibration& c) { c.ranges["layer9"] = 1; }).find("has a range for layer9") != std::string::npos);
}

TEST_CASE("a range is up to the largest value") {
  CHECK(range_of({{1, 4, 0}}) == 4);
  CHECK(range_of({{1, 4, 0}, {3}, {6, 2}, {5}}) == 6);
  CHECK(range_of({std::vector<float>(5)}) > 0);
  for (const float bad : {1e20f, std::numeric_limits<float>::infinity(), std::nanf("")})
    CHECK(sentence([&] { range_of({{1, bad, 2}}); }).find("too large or not a number") != std::string::npos);
}

// No bound worth having follows from roundings in series. Measured: 0.028 at worst; the limit is bf16's (golden_test.cpp).
TEST_CASE("int8 probabilities are near f32's, wherever the values lie") {
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    const test::GoldenNetwork golden(name);
    const auto file = WeightsFile::open(golden.weights_path);
    PackCache packs;
    CpuExecutor f32(*file, packs, {64, 64, DType::kF32, 2});
    RangeStatistics statistics;
    f32.observe(&statistics);
    const std::vector<float> expected = probability(f32, golden);
    f32.observe(nullptr);
    const Calibration calibration = statistics.calibration();
    CHECK(calibration.photos == 1);
    CHECK(probability(f32, golden) == expected);  // observing changes nothing
    CHECK(statistics.calibration().ranges == calibration.ranges);

    std::vector<float> first;
    for (const bool keep : {false, true}) {
      CpuExecutor int8(*file, packs, {64, 64, DType::kF32, 2, keep, 1, &calibration});
      const std::vector<float> p = probability(int8, golden);
      for (std::size_t i = 0; i < p.size(); ++i) CHECK(std::abs(double{p[i]} - expected[i]) <= 0.04);
      CHECK(p != expected);
      if (first.empty()) first = p;
      CHECK(p == first);
    }
  }
}

TEST_CASE("every plan of a session is observed, its warm-up is not") {
  const test::GoldenNetwork golden("multi");
  const mfs::Model model(golden.weights_path, {.device = "cpu", .precision = "f32", .threads = 1});
  const std::vector<std::uint8_t> pixels(96 * 64 * 3, 200);
  const mfs::Image small{golden.pixels.data(), golden.width, golden.height, 0, MFS_RGB},
      large{pixels.data(), 96, 64, 0, MFS_RGB};
  const std::vector<mfs::Point> taps{{20, 13}};
  const TemporaryFile file;
  const auto calibration_of = [&](const std::vector<mfs::Image>& photos) {
    mfs::Session session(model, {.native_size = true});
    session.set_observing(true);
    session.warm_up(96, 64);
    CHECK(sentence([&] { session.write_calibrated(file.path); }) == "no photo has been observed");
    for (const mfs::Image& photo : photos) session.segment(photo, taps);
    session.set_observing(false);
    session.segment(small, taps);
    session.write_calibrated(file.path);
    return *WeightsFile::open(file.path)->calibration();
  };
  const Calibration first = calibration_of({small}), second = calibration_of({large}), both = calibration_of({small, large});
  CHECK(first.photos == 1);
  CHECK(both.photos == 2);
  CHECK(first.ranges != second.ranges);
  for (const auto& [name, range] : both.ranges) CHECK(range == std::max(first.ranges.at(name), second.ranges.at(name)));
}

TEST_CASE("calibrated weights go where a link points, and only into files") {
  namespace fs = std::filesystem;
  const test::GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  const TemporaryFile target;
  const std::string link = target.path + ".link";
  const Calibration calibration{3, {{"a \"quoted\" name", 0.1f}, {"b", 7}}};
  write_calibrated(*file, Calibration{1, {{"old", 1}}}, target.path);
  fs::create_symlink(target.path, link);
  write_calibrated(*WeightsFile::open(link), calibration, link);
  CHECK(fs::is_symlink(link));
  const auto written = WeightsFile::open(target.path);
  CHECK(written->calibration()->photos == 3);
  CHECK(written->calibration()->ranges == calibration.ranges);
  fs::remove(link);
  CHECK(sentence([&] { write_calibrated(*file, calibration, "/dev/null"); }) == "/dev/null: is not a regular file");
}

TEST_CASE("weights are calibrated through the public interface") {
  const test::GoldenNetwork golden("multi");
  const TemporaryFile calibrated;
  const mfs::Model model(golden.weights_path, {.device = "cpu", .precision = "f32", .threads = 1});
  const mfs::Image photo{golden.pixels.data(), golden.width, golden.height, 0, MFS_RGB};
  const std::vector<mfs::Point> taps{{20, 13}};
  mfs::Session session(model);
  CHECK(sentence([&] { session.write_calibrated(calibrated.path); }) == "no photo has been observed");
  session.segment(photo, taps);
  CHECK(sentence([&] { session.write_calibrated(calibrated.path); }) == "no photo has been observed");
  session.set_observing(true);
  const mfs::Mask mask = session.segment(photo, taps);
  session.write_calibrated(calibrated.path);
  CHECK(sentence([&] { session.write_calibrated("/nonexistent/file"); }).find("/nonexistent/file") != std::string::npos);

  // The same weights, and a calibration.
  const auto before = WeightsFile::open(golden.weights_path), after = WeightsFile::open(calibrated.path);
  CHECK_FALSE(before->calibration());
  REQUIRE(after->calibration());
  CHECK(after->calibration()->photos == 1);
  REQUIRE(before->tensors().size() == after->tensors().size());
  for (std::size_t i = 0; i < before->tensors().size(); ++i) {
    const StoredTensor &a = before->tensors()[i], &b = after->tensors()[i];
    const auto loaded_a = before->load(a);
    const auto loaded_b = after->load(b);
    CHECK(a.name == b.name);
    CHECK(std::equal(a.data, a.data + a.bytes, b.data, b.data + b.bytes));
  }

  const auto load = [](const std::string& path, const char* device, const char* precision) {
    return mfs::Model(path, {.device = device, .precision = precision, .threads = 1});
  };
  CHECK(sentence([&] { load(golden.weights_path, "cpu", "int8"); }) ==
        golden.weights_path + ": precision int8 needs calibrated weights, which mfs_calibrate makes of these");
  CHECK(std::string(load(calibrated.path, "cpu", "auto").info().precision) != "int8");
  const mfs::Model int8 = load(calibrated.path, "cpu", "int8");
  CHECK(std::string(int8.info().precision) == "int8");
  CHECK(std::string(int8.info().device) == "cpu");
  mfs::Session rounded(int8);
  const mfs::Mask other = rounded.segment(photo, taps);
  const auto differ = std::ranges::count_if(std::views::iota(std::size_t{0}, mask.pixels.size()),
                                            [&](std::size_t i) { return mask.pixels[i] != other.pixels[i]; });
  CHECK(differ <= static_cast<long>(mask.pixels.size() / 20));
  CHECK(sentence([&] { rounded.set_observing(true); }) ==
        "activations are observed on the CPU in f32; this session runs in int8 on cpu");
}
