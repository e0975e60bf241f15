// Zoom-in: the window against a search through the interpolated logit, the second look against the two runs it consists of.
#include "runtime/zoom_in.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "mfs/mfs.hpp"
#include "runtime/session.h"
#include "tests/runtime/golden_network.h"
#include "tests/runtime/scene.h"

namespace mfs::core {
namespace {

// Along one side, in photo pixels, ends included; begins empty.
struct Extent {
  double low = 1e9, high = -1e9;
  void include(double v) { low = std::min(low, v), high = std::max(high, v); }
};

constexpr int kSamples = 16;  // of the interpolated logit, in a cell of the grid

double pixel_of(int sample, int grid, int photo, bool align_corners) {
  const double at = static_cast<double>(sample) / kSamples;
  if (at == 0) return 0;
  if (at == grid - 1) return photo - 1;
  if (align_corners) return at * (photo - 1) / (grid - 1);
  return std::clamp((at + 0.5) * photo / grid - 0.5, 0.0, photo - 1.0);
}

// Where samples of the interpolated logit exceed the threshold, and the taps.
void search(const std::vector<float>& grid, int rows, int columns, bool align_corners, const RunRequest& r, Extent& across,
            Extent& down) {
  const double cut = std::log(r.threshold / (1.0 - r.threshold));
  const auto value = [&](int y, int x) { return double{grid[static_cast<std::size_t>(y) * columns + x]}; };
  for (int i = 0; i <= (rows - 1) * kSamples; ++i)
    for (int k = 0; k <= (columns - 1) * kSamples; ++k) {
      const int y = std::min(i / kSamples, rows - 2), x = std::min(k / kSamples, columns - 2);
      const double v = static_cast<double>(i) / kSamples - y, u = static_cast<double>(k) / kSamples - x;
      const double at =
          (1 - v) * ((1 - u) * value(y, x) + u * value(y, x + 1)) + v * ((1 - u) * value(y + 1, x) + u * value(y + 1, x + 1));
      if (!(at > cut)) continue;
      across.include(pixel_of(k, columns, r.image.width, align_corners));
      down.include(pixel_of(i, rows, r.image.height, align_corners));
    }
  for (const Point& tap : r.taps) across.include(tap.x), down.include(tap.y);
}

// The window along one side, for an object that ends at most a sample outside `found`.
void check_side(const Extent& found, int grid, int side, int begin, int length) {
  CAPTURE(found.low);
  CAPTURE(found.high);
  CAPTURE(side);
  const double sample = static_cast<double>(side) / (grid - 1) / kSamples, box = found.high - found.low + 1;
  const auto margin = [&](double of) { return std::max(0.25 * of, (0.25 * side - of) / 2); };
  const double least = std::min(margin(box), margin(box + 2 * sample)), most = std::max(margin(box), margin(box + 2 * sample));
  const int end = begin + length - 1;
  CHECK(begin >= 0);
  CHECK(end < side);
  CHECK(begin <= std::max(0.0, std::floor(found.low - least)));
  CHECK(begin >= std::max(0.0, std::floor(found.low - sample - most)));
  CHECK(end >= std::min(side - 1.0, std::ceil(found.high + least)));
  CHECK(end <= std::min(side - 1.0, std::ceil(found.high + sample + most)));
}

}  // namespace

TEST_CASE("the window holds what exceeds the threshold and the taps, with a margin") {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(0, 1);
  const auto at = [&](int bound) { return std::min(static_cast<int>(uniform(random) * static_cast<float>(bound)), bound - 1); };
  for (const auto& [rows, columns, width, height] :
       {std::array{8, 8, 101, 67}, {5, 12, 400, 300}, {40, 40, 37, 23}, {2, 9, 50, 1}, {8, 8, 1, 1}, {8, 8, 2, 500}})
    for (const bool align_corners : {true, false})
      for (int trial = 0; trial < 20; ++trial) {
        NetworkDescription network;
        network.align_corners = align_corners;
        std::vector<float> grid(static_cast<std::size_t>(rows) * columns);
        for (float& v : grid) v = -2 - 3 * uniform(random);
        for (int bumps = trial % 4; bumps > 0; --bumps)
          grid[static_cast<std::size_t>(at(rows)) * columns + at(columns)] = 4 * uniform(random) - 1;
        const std::uint8_t pixel = 0;
        const Point taps[] = {{static_cast<float>(at(width)), static_cast<float>(at(height))}};
        RunRequest r{.image = {&pixel, width, height, 3 * width, PixelFormat::kRgb}, .taps = taps};
        r.threshold = trial % 3 == 0 ? 0.5f : 0.2f + 0.6f * uniform(random);
        CAPTURE(trial);
        CAPTURE(align_corners);
        CAPTURE(rows);
        const ZoomWindow w = zoom_window(View(grid.data(), DType::kF32, {1, rows, columns, 1}), network, r);
        Extent across, down;
        search(grid, rows, columns, align_corners, r, across, down);
        check_side(across, columns, width, w.left, w.width);
        check_side(down, rows, height, w.top, w.height);
      }
}

TEST_CASE("without a tap and without an object, the second look would see what the first one saw") {
  NetworkDescription network;
  network.variant = Variant::kResnetBaseline;
  const std::vector<float> nothing(64, -1);
  const Point ignored[] = {{1e9f, -1e9f}};
  const std::uint8_t pixel = 0;
  const RunRequest r{.image = {&pixel, 300, 200, 900, PixelFormat::kRgb}, .taps = ignored};
  CHECK(zoom_window(View(nothing.data(), DType::kF32, {1, 8, 8, 1}), network, r) == ZoomWindow{0, 0, 300, 200});
}

namespace {

// Has found what it is told.
class FoundBefore final : public Executor {
 public:
  explicit FoundBefore(std::vector<std::vector<float>> logits) : logits_(std::move(logits)) {}
  Status host_logit(std::size_t photo, View& logit) override {
    logit = View(logits_[photo].data(), DType::kF32, {1, 8, 8, 1});
    return {};
  }
  Status run(std::span<const RunRequest>) override { return invalid("not for running"); }
  Status enqueue(void*, std::span<const RunRequest>) override { return invalid("not for running"); }
  Status reserve(const PhotoLimits&) override { return {}; }
  void set_refining(bool) override {}
  Status warm_up(const PhotoLimits&) override { return {}; }
  const Timings& timings() const override { return timings_; }
  const std::vector<StepInfo>& steps() const override { return steps_; }
  void set_profiling(bool) override {}
  double step_microseconds(std::size_t) const override { return 0; }

 private:
  std::vector<std::vector<float>> logits_;
  Timings timings_;
  std::vector<StepInfo> steps_;
};

}  // namespace

TEST_CASE("the second look's requests are parts of the first one's, in memory and in place") {
  std::vector<float> everything(64, 1), little(64, -1);
  little[8 * 5 + 2] = 1;
  FoundBefore found({everything, little});
  std::vector<std::uint8_t> pixels(std::size_t{1000} * 200), mask(pixels.size());
  std::vector<float> probability(pixels.size());
  const Point tap{100, 150};
  const NetworkDescription network;
  ZoomIn zoom_in(2);
  for (const PixelFormat format : {PixelFormat::kRgb, PixelFormat::kRgba, PixelFormat::kBgr, PixelFormat::kGrey}) {
    const RunRequest photo{.image = {pixels.data(), 240, 200, 1000, format},
                           .taps = {&tap, 1},
                           .mask = mask.data(),
                           .mask_stride = 250,
                           .probability = probability.data(),
                           .probability_stride = 4 * 260};
    RunRequest mask_alone = photo, probability_alone = photo;
    mask_alone.probability = nullptr, probability_alone.mask = nullptr;
    for (const RunRequest& second : {photo, mask_alone, probability_alone}) {
      const RunRequest first[] = {photo, second};
      std::span<const RunRequest> closer;
      REQUIRE(zoom_in.second_look(found, network, first, closer));
      REQUIRE(closer.size() == 2);
      CHECK(closer[0].image.data == pixels.data());
      CHECK(closer[0].image.width == 240);
      CHECK(closer[0].image.height == 200);
      View logit;
      REQUIRE(found.host_logit(1, logit));
      const ZoomWindow w = zoom_window(logit, network, second);
      const RunRequest& r = closer[1];
      REQUIRE(w.left > 0);
      REQUIRE(w.top > 0);
      CHECK(r.image.data == pixels.data() + 1000 * w.top + channels_of(format) * w.left);
      CHECK(r.image.row_stride == 1000);
      CHECK(r.image.width == w.width);
      CHECK(r.image.height == w.height);
      CHECK(r.mask == (second.mask ? mask.data() + 250 * w.top + w.left : nullptr));
      CHECK(r.probability == (second.probability ? probability.data() + 260 * w.top + w.left : nullptr));
      REQUIRE(r.taps.size() == 1);
      CHECK(r.taps[0].x == tap.x - static_cast<float>(w.left));
      CHECK(r.taps[0].y == tap.y - static_cast<float>(w.top));
      REQUIRE(zoom_in.second_look(found, network, {&photo, 1}, closer));
      CHECK(closer.empty());  // nothing new to see
    }
  }
}

namespace {

float quantile(const View& logit, double share) {
  const auto* begin = static_cast<const float*>(logit.data);
  std::vector<float> all(begin, begin + logit.shape.elements());
  std::ranges::sort(all);
  return all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))];
}

void look_twice(const test::GoldenNetwork& golden, const std::shared_ptr<const Model>& model, bool refine) {
  const NetworkDescription& network = model->weights().network();
  Session zooming(model, {.max_batch = 2, .zoom_in = true, .refine = refine}), plain(model, {.max_batch = 2, .refine = refine});

  // Thresholds that leave a small object, so that there is something to look closer at.
  test::Scene a(golden, 1, {20.25f, 13.5f}), b(golden, 3, {150, 3});
  RunRequest first[] = {a.request(0.5f), b.request(0.5f)};
  REQUIRE(plain.run(first));
  auto& executor = *const_cast<Executor*>(plain.executor());
  ZoomWindow windows[2];
  for (std::size_t i = 0; i < 2; ++i) {
    View logit;
    REQUIRE(executor.host_logit(i, logit));
    first[i].threshold = 1 / (1 + std::exp(-quantile(logit, 0.97)));
  }
  REQUIRE(plain.run(first));
  for (std::size_t i = 0; i < 2; ++i) {
    View logit;
    REQUIRE(executor.host_logit(i, logit));
    windows[i] = zoom_window(logit, network, first[i]);
    CAPTURE(i);
    REQUIRE(windows[i].width < first[i].image.width);
  }
  RunRequest second[] = {first[0], first[1]};
  std::vector<Point> taps[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const ZoomWindow& w = windows[i];
    RunRequest& r = second[i];
    r.image.data += w.top * r.image.row_stride + 4 * w.left, r.image.width = w.width, r.image.height = w.height;
    r.mask += w.top * r.mask_stride + w.left;
    r.probability += w.top * r.probability_stride / 4 + w.left;
    for (const Point& tap : r.taps) taps[i].push_back({tap.x - static_cast<float>(w.left), tap.y - static_cast<float>(w.top)});
    r.taps = taps[i];
  }
  REQUIRE(plain.run(second));

  test::Scene c(golden, 1, a.taps[0]), d(golden, 3, b.taps[0]);
  const RunRequest once[] = {c.request(first[0].threshold), d.request(first[1].threshold)};
  REQUIRE(zooming.run(once));
  CHECK(c.mask == a.mask);
  CHECK(d.mask == b.mask);
  CHECK(c.probability == a.probability);
  CHECK(d.probability == b.probability);
  CHECK(zooming.timings().infer > zooming.executor()->timings().infer);  // both looks
}

}  // namespace

TEST_CASE("the second look is a run on the window, its result lies in the first one's") {
  const test::GoldenNetwork golden("multi");
  test::on_every_device(golden, [&](const std::shared_ptr<const Model>& model) {
    for (const bool refine : {false, true}) look_twice(golden, model, refine);
  });
}

TEST_CASE("the logit of the last run can be read") {
  const test::GoldenNetwork golden("multi");
  test::on_every_device(golden, [&](const std::shared_ptr<const Model>& model) {
    Session session(model, {});
    test::Scene scene(golden, 1, {20.25f, 13.5f});
    constexpr int kGrid = 8;  // a photo of the logit's size shows each of its values
    RunRequest r = scene.request(0.5f);
    r.image.width = kGrid, r.image.height = kGrid;
    const Point tap[] = {{4, 4}};
    r.taps = tap;
    REQUIRE(session.run(r));
    View logit;
    REQUIRE(const_cast<Executor*>(session.executor())->host_logit(0, logit));
    REQUIRE(logit.shape == Shape{1, kGrid, kGrid, 1});
    for (int y = 0; y < kGrid; ++y)
      for (int x = 0; x < kGrid; ++x) {
        const double value = static_cast<const float*>(logit.data)[y * kGrid + x];
        const float probability = scene.probability[static_cast<std::size_t>(y) * (scene.width + 1) + x];
        CHECK(std::abs(probability - 1 / (1 + std::exp(-value))) <= 1e-6);  // see mask_decision.h
      }
  });
}

TEST_CASE("what does not go together with zoom_in is a sentence") {
  const test::GoldenNetwork golden("multi");
  const mfs::Model model(golden.weights_path);
  const auto sentence = [&](const mfs::SessionOptions& options) -> std::string {
    try {
      const mfs::Session session(model, options);
    } catch (const mfs::Error& e) {
      CHECK(e.status() == MFS_INVALID_ARGUMENT);
      return e.what();
    }
    return "";
  };
  CHECK(sentence({.native_size = true, .zoom_in = true}).find("native_size") != std::string::npos);
  CHECK(sentence({.device_photos_only = true, .zoom_in = true}).find("device_photos_only") != std::string::npos);
  mfs::Session session(model, {.zoom_in = true});
  mfs_outputs outputs{};
  outputs.struct_size = sizeof outputs;
  const mfs_image image{golden.pixels.data(), golden.width, golden.height, 0, MFS_RGB};
  const mfs_point tap{3, 3};
  const mfs::Request request{&image, &tap, 1, &outputs};
  mfs_error error{};
  CHECK(mfs_session_enqueue(session.handle(), nullptr, &request, 1, &error) == MFS_UNSUPPORTED);
  CHECK(std::string(error.message).find("zoom_in") != std::string::npos);
}

}  // namespace mfs::core
