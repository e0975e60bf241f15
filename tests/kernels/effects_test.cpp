#include "kernels/effects.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace mfs::core {
namespace {

constexpr PixelFormat kFormats[] = {PixelFormat::kRgb, PixelFormat::kRgba, PixelFormat::kBgr, PixelFormat::kGrey};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Size {
  int width, height;
};
// One pixel, a row, a column, odd sizes, and rows longer than the pieces kernels work in.
constexpr Size kSizes[] = {{1, 1}, {9, 1}, {1, 7}, {37, 23}, {1043, 3}};

// Pixels with `gap` bytes after every row and a row of guard bytes at either end; all of these must survive.
class Picture {
 public:
  Picture(int width, int height, PixelFormat format, int gap = 5)
      : width_(width), height_(height), format_(format), stride_(width * channels_of(format) + gap) {
    bytes_.assign(static_cast<std::size_t>(stride_) * (height + 2), kGuard);
  }
  Picture(Size size, PixelFormat format, unsigned seed) : Picture(size.width, size.height, format) {
    std::mt19937 random(seed);
    for (int y = 0; y < height_; ++y) {
      for (int i = 0; i < width_ * channels_of(format_); ++i) row(y)[i] = static_cast<std::uint8_t>(random() >> 24);
    }
  }

  std::uint8_t* row(int y) { return bytes_.data() + static_cast<std::ptrdiff_t>(stride_) * (y + 1); }
  const std::uint8_t* at(int x, int y) const {
    return bytes_.data() + static_cast<std::ptrdiff_t>(stride_) * (y + 1) + x * channels_of(format_);
  }
  // Channel 0..2 = red, green, blue; 3 = alpha (255 where there is none).
  int get(int x, int y, int channel) const {
    const std::uint8_t* p = at(x, y);
    if (format_ == PixelFormat::kGrey) return channel < 3 ? p[0] : 255;
    if (channel == 3) return format_ == PixelFormat::kRgba ? p[3] : 255;
    return p[format_ == PixelFormat::kBgr ? 2 - channel : channel];
  }
  void set(int x, int y, int r, int g, int b) {
    std::uint8_t* p = row(y) + x * channels_of(format_);
    const int rgb[3] = {r, g, b};
    if (format_ == PixelFormat::kGrey) p[0] = static_cast<std::uint8_t>(g);
    if (format_ == PixelFormat::kGrey) return;
    for (int c = 0; c < 3; ++c) p[format_ == PixelFormat::kBgr ? 2 - c : c] = static_cast<std::uint8_t>(rgb[c]);
  }
  bool guards_intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const auto y = static_cast<std::ptrdiff_t>(i) / stride_ - 1, x = static_cast<std::ptrdiff_t>(i) % stride_;
      const bool inside = y >= 0 && y < height_ && x < width_ * channels_of(format_);
      if (!inside && bytes_[i] != kGuard) return false;
    }
    return true;
  }
  ImageView view() const { return {at(0, 0), width_, height_, stride_, format_}; }
  MutImageView out() { return {row(0), width_, height_, stride_, format_}; }
  int width() const { return width_; }
  int height() const { return height_; }
  bool operator==(const Picture& o) const { return bytes_ == o.bytes_; }

 private:
  static constexpr std::uint8_t kGuard = 0xa5;
  int width_, height_;
  PixelFormat format_;
  int stride_;
  std::vector<std::uint8_t> bytes_;
};

// A probability map with NaN between its rows.
class Probability {
 public:
  explicit Probability(Size size, float fill = 0)
      : size_(size), values_(static_cast<std::size_t>(pitch()) * size.height, kNan) {
    for (int y = 0; y < size.height; ++y) std::fill_n(&at(0, y), size.width, fill);
  }
  float& at(int x, int y) { return values_[static_cast<std::size_t>(pitch()) * y + x]; }
  float at(int x, int y) const { return values_[static_cast<std::size_t>(pitch()) * y + x]; }
  MapView view() const { return {values_.data(), size_.width, size_.height, std::int64_t{4} * pitch()}; }

 private:
  int pitch() const { return size_.width + 3; }
  Size size_;
  std::vector<float> values_;
};

Probability awkward_probability(Size size, unsigned seed) {
  Probability p(size);
  std::mt19937 random(seed);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const unsigned pick = random() % 16;
      const float extremes[] = {0, 1, 0.25f, 0.75f, 0.5f, kNan, kInfinity, -kInfinity};
      p.at(x, y) = pick < 8 ? extremes[pick] : static_cast<float>(random() % 1000001) * 1e-6f;
    }
  }
  return p;
}

// Opacity before rounding.
double opacity(float probability) { return std::isnan(probability) ? 0 : std::clamp((probability - 0.25) * 510, 0.0, 255.0); }

// Whole images in the layout of the definition: weights of the blur and squared colours.
double background_weight(float probability) {
  const int alpha = static_cast<int>(std::floor(opacity(probability) + 0.5));
  return std::max(255 - 2 * alpha, alpha < 255 ? 1 : 0);
}

// Area of the disc in the row dy, halved: the mean half chord, by quadrature.
double half_chord(double radius, int dy) {
  constexpr int kSteps = 20000;
  double sum = 0;
  for (int i = 0; i < kSteps; ++i) {
    const double y = dy - 0.5 + (i + 0.5) / kSteps;
    sum += std::sqrt(std::max(0.0, radius * radius - y * y));
  }
  return sum / kSteps;
}

// The blurred photo before rounding, straight from the definition: every pixel sums its whole disc.
std::vector<double> blur_reference(const Picture& photo, const Probability& p, double radius) {
  const int w = photo.width(), h = photo.height(), reach = static_cast<int>(std::ceil(radius + 1));
  std::vector<double> result;
  std::vector<double> chords;
  for (int dy = 0; dy <= reach; ++dy) chords.push_back(half_chord(radius, dy));
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      double colour[3] = {}, total = 0;
      for (int v = std::max(0, y - reach); v <= std::min(h - 1, y + reach); ++v) {
        const double half = chords[std::abs(v - y)];
        for (int u = std::max(0, x - reach); u <= std::min(w - 1, x + reach); ++u) {
          const int dx = std::abs(u - x);
          const double share = dx == 0 ? std::min(1.0, 2 * half) : std::clamp(half + 0.5 - dx, 0.0, 1.0) * (half >= 0.5);
          const double weight = share * background_weight(p.at(u, v));
          total += weight;
          for (int c = 0; c < 3; ++c) colour[c] += weight * photo.get(u, v, c) * photo.get(u, v, c);
        }
      }
      const double alpha = std::floor(opacity(p.at(x, y)) + 0.5) / 255;
      for (int c = 0; c < 3; ++c) {
        result.push_back(alpha * photo.get(x, y, c) + (alpha < 1 ? (1 - alpha) * std::sqrt(colour[c] / total) : 0));
      }
    }
  }
  return result;
}

Picture blur(const Picture& photo, const Probability& p, float radius, int threads = 2) {
  Picture out(photo.width(), photo.height(), PixelFormat::kRgb, 7);
  BackgroundBlur effect{photo.view(), p.view(), radius, out.out(), {}};
  std::vector<std::byte> scratch(scratch_bytes(Cpu{threads}, effect), std::byte{0xff});  // NaN as floats
  effect.scratch = scratch;
  const Status status = run(Cpu{threads}, effect);
  REQUIRE_MESSAGE(static_cast<bool>(status), status.message());
  CHECK(out.guards_intact());
  return out;
}

Picture overlay(const Picture& photo, const Probability& p, std::vector<Point> taps = {}, int threads = 2) {
  Picture out(photo.width(), photo.height(), PixelFormat::kRgb, 7);
  const Status status = run(Cpu{threads}, Overlay{photo.view(), p.view(), 0.5f, taps, out.out()});
  REQUIRE_MESSAGE(static_cast<bool>(status), status.message());
  CHECK(out.guards_intact());
  return out;
}

// A subject with an edge `softness` pixels wide left of column `edge`.
Probability ramp(Size size, double edge, double softness) {
  Probability p(size);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) p.at(x, y) = static_cast<float>(std::clamp(0.5 + (edge - x) / softness, 0.0, 1.0));
  }
  return p;
}

Picture uniform(Size size, int r, int g, int b, PixelFormat format = PixelFormat::kRgb) {
  Picture picture(size.width, size.height, format);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) picture.set(x, y, r, g, b);
  }
  return picture;
}

TEST_CASE("a cut-out is the photo with the probability as soft alpha") {
  for (const PixelFormat format : kFormats) {
    for (const Size size : kSizes) {
      CAPTURE(static_cast<int>(format));
      CAPTURE(size.width);
      CAPTURE(size.height);
      const Picture photo(size, format, 1);
      const Probability p = awkward_probability(size, 2);
      Picture out(size.width, size.height, PixelFormat::kRgba, 3);
      REQUIRE(static_cast<bool>(run(Cpu{2}, CutOut{photo.view(), p.view(), out.out()})));
      CHECK(out.guards_intact());
      int wrong = 0;
      for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
          for (int c = 0; c < 3; ++c) wrong += out.get(x, y, c) != photo.get(x, y, c);
          // Float arithmetic may round the other way when the exact value is within its error of a tie.
          const double exact = opacity(p.at(x, y)), error = 255 * std::numeric_limits<float>::epsilon();
          bool right = false;
          for (const double e : {-error, 0.0, error}) {
            const double alpha = std::floor(std::clamp(exact + e, 0.0, 255.0) + 0.5);
            right |= out.get(x, y, 3) == std::floor(alpha * photo.get(x, y, 3) / 255 + 0.5);
          }
          wrong += !right;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("blurring leaves a uniform photo as it is") {
  for (const Size size : {Size{1, 1}, Size{37, 23}, Size{601, 40}}) {
    const Picture photo = uniform(size, 255, 1, 77);
    const Probability p = awkward_probability(size, 3);
    Picture expected(size.width, size.height, PixelFormat::kRgb, 7);
    for (int y = 0; y < size.height; ++y)
      std::memcpy(expected.row(y), photo.at(0, y), static_cast<std::size_t>(3) * size.width);
    for (const float radius : {0.0f, 0.3f, 1.0f, 3.7f, 9.99f, 10.0f, 24.0f, 64.5f, 1000.0f}) {
      CAPTURE(radius);
      CAPTURE(size.width);
      CHECK(blur(photo, p, radius) == expected);
    }
  }
}

TEST_CASE("blurring by half a pixel or less changes nothing") {
  const Size size{61, 33};
  for (const PixelFormat format : kFormats) {
    const Picture photo(size, format, 4);
    for (const float radius : {0.0f, 0.5f}) {
      const Picture out = blur(photo, awkward_probability(size, 5), radius);
      int wrong = 0;
      for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
          for (int c = 0; c < 3; ++c) wrong += out.get(x, y, c) != photo.get(x, y, c);
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("the blur equals the sum over every disc") {
  for (const PixelFormat format : kFormats) {
    for (const Size size : {Size{1, 1}, Size{9, 1}, Size{1, 7}, Size{37, 23}}) {
      for (const float radius : {0.8f, 1.5f, 4.2f, 9.9f}) {  // below 10 the grid is the photo's own
        CAPTURE(static_cast<int>(format));
        CAPTURE(size.width);
        CAPTURE(size.height);
        CAPTURE(radius);
        const Picture photo(size, format, 6);
        const Probability p = awkward_probability(size, 7);
        const Picture out = blur(photo, p, radius);
        const std::vector<double> expected = blur_reference(photo, p, radius);
        double worst = 0;
        std::size_t i = 0;
        for (int y = 0; y < size.height; ++y) {
          for (int x = 0; x < size.width; ++x) {
            for (int c = 0; c < 3; ++c) worst = std::max(worst, std::abs(out.get(x, y, c) - expected[i++]));
          }
        }
        // Half a level of rounding. The sums are exact but for 2 * reach + 1 float additions and the chords' float fractions:
        // 40 eps of 255, doubled by the division, halved by the root; the reference's quadrature adds less than that again.
        CHECK(worst <= 0.5 + 255 * 100 * std::numeric_limits<float>::epsilon() + 0.002);
      }
    }
  }
}

TEST_CASE("on the coarse grid of large radii the blur stays close to the disc") {
  const Size size{150, 120};
  Picture photo(size, PixelFormat::kRgb, 8);
  for (int y = 0; y < size.height; ++y) {  // structure of many sizes under the noise
    for (int x = 0; x < size.width; ++x) {
      const int wave = static_cast<int>(60 * std::sin(x * 0.05) + 60 * std::cos(y * 0.11)) + 124;
      for (int c = 0; c < 3; ++c) photo.row(y)[3 * x + c] = static_cast<std::uint8_t>((wave + photo.get(x, y, c)) / 2);
    }
  }
  const Probability p = ramp(size, 50, 12);
  for (const float radius : {10.0f, 14.9f, 21.0f, 33.0f}) {
    CAPTURE(radius);
    const Picture out = blur(photo, p, radius);
    const std::vector<double> expected = blur_reference(photo, p, radius);
    double worst = 0, sum = 0;
    std::size_t i = 0;
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          const double difference = std::abs(out.get(x, y, c) - expected[i++]);
          worst = std::max(worst, difference), sum += difference;
        }
      }
    }
    CHECK(worst <= 6);
    CHECK(sum / static_cast<double>(i) <= 1);
  }
}

TEST_CASE("no colour of the subject reaches the background") {
  const Size size{200, 90};
  for (const float radius : {3.0f, 12.0f, 24.0f, 60.0f}) {
    CAPTURE(radius);
    Picture photo = uniform(size, 0, 0, 255);
    Probability p(size);
    for (int y = 20; y < 70; ++y) {
      for (int x = 60; x < 140; ++x) photo.set(x, y, 255, 0, 0), p.at(x, y) = 1;
    }
    const Picture out = blur(photo, p, radius);
    CHECK(out == blur(photo, p, radius, 1));
    int wrong = 0;
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        for (int c = 0; c < 3; ++c) wrong += out.get(x, y, c) != photo.get(x, y, c);
      }
    }
    CHECK(wrong == 0);  // red stays red, blue stays blue, and nothing is in between
  }
}

TEST_CASE("with a soft edge, too, the background stays free of the subject's colour") {
  const Size size{160, 40};
  Picture photo = uniform(size, 0, 0, 255);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < 80; ++x) photo.set(x, y, 255, 0, 0);
  }
  const Picture out = blur(photo, ramp(size, 79.5, 30), 12);
  int most = 0;
  for (int y = 0; y < size.height; ++y) {
    for (int x = 95; x < size.width; ++x) most = std::max(most, out.get(x, y, 0));
  }
  // Right of the ramp some unsure subject pixels count 1/255 each: less than 1/255 of the weight, its root times 255.
  CHECK(most <= 16);
}

TEST_CASE("an unsure pixel far from any background keeps its colour") {
  const Size size{130, 110};
  Picture photo(size, PixelFormat::kRgb, 15);
  for (const float radius : {6.0f, 30.0f}) {
    Probability p(size, 1);
    p.at(70, 50) = 0.6f;
    const Picture out = blur(photo, p, radius);
    for (int c = 0; c < 3; ++c) CHECK(std::abs(out.get(70, 50, c) - photo.get(70, 50, c)) <= 1);
  }
}

TEST_CASE("NaN is background") {
  const Size size{90, 70};
  const Picture photo(size, PixelFormat::kRgb, 16);
  Probability zero(size), nan(size, kNan);
  for (int y = 20; y < 50; ++y) std::fill_n(&zero.at(30, y), 25, 0.9f), std::fill_n(&nan.at(30, y), 25, 0.9f);
  CHECK(overlay(photo, nan) == overlay(photo, zero));
  CHECK(blur(photo, nan, 14) == blur(photo, zero, 14));
}

TEST_CASE("the number of threads does not change an effect") {
  const Size size{83, 61};
  const Picture photo(size, PixelFormat::kRgba, 9);
  const Probability p = awkward_probability(size, 10);
  for (const int threads : {2, 3, 7, 64}) {
    CAPTURE(threads);
    for (const float radius : {4.0f, 31.0f}) CHECK(blur(photo, p, radius, threads) == blur(photo, p, radius, 1));
    CHECK(overlay(photo, p, {{10, 60}}, threads) == overlay(photo, p, {{10, 60}}, 1));
  }
}

TEST_CASE("an overlay tints the object, leaves the rest and draws the contour at its width") {
  for (const Size size : {Size{300, 200}, Size{1600, 40}}) {  // lines 2 and 4 pixels wide
    const double width = std::max(2.0, std::hypot(size.width, size.height) / 400);
    for (const double edge : {100.0, 100.3, 100.5}) {
      CAPTURE(size.width);
      CAPTURE(edge);
      const Picture photo = uniform(size, 0, 0, 0);
      const Picture out = overlay(photo, ramp(size, edge, 40));
      for (int y = 0; y < size.height; ++y) {
        CHECK(out.get(60, y, 0) == 0);
        CHECK(out.get(60, y, 1) == 55);   // 45% of 122
        CHECK(out.get(60, y, 2) == 115);  // 45% of 255
        for (int c = 0; c < 3; ++c) CHECK(out.get(140, y, c) == 0);
        double covered = 0, moment = 0;  // red comes from the line only
        for (int x = 60; x < 140; ++x) covered += out.get(x, y, 0) / 255.0, moment += x * out.get(x, y, 0) / 255.0;
        CHECK(std::abs(covered - width) <= 0.1);
        CHECK(std::abs(moment / covered - edge) <= 0.1);
      }
    }
  }
}

TEST_CASE("an overlay of a hard mask has a contour on both sides of the edge") {
  const Size size{64, 48};
  Probability p(size);
  for (int y = 10; y < 30; ++y) std::fill_n(&p.at(20, y), 20, 1.0f);
  const Picture out = overlay(uniform(size, 0, 0, 0), p);
  for (int y = 14; y < 26; ++y) {
    for (const int x : {19, 20, 39, 40}) CHECK(out.get(x, y, 0) >= 128);
    for (const int x : {17, 30, 42}) CHECK(out.get(x, y, 0) == 0);
  }
}

TEST_CASE("every tap is a white dot and ring with a dark rim, also at the border") {
  const Size size{600, 520};  // diagonal 794: dot radius 3.05, ring radius 7.94
  const Picture out = overlay(uniform(size, 128, 128, 128), Probability(size), {{300, 200}, {-0.5f, 519.5f}, {1e30f, -1e30f}});
  CHECK(out.get(300, 200, 0) == 255);
  CHECK(out.get(304, 200, 0) < 64);
  CHECK(out.get(308, 200, 0) == 255);
  CHECK(out.get(300, 192, 0) == 255);
  CHECK(out.get(310, 200, 0) < 64);
  for (int d = 0; d < 20; ++d) {
    CHECK(out.get(300 + d, 200, 1) == out.get(300 - d, 200, 1));
    CHECK(out.get(300 + d, 200, 1) == out.get(300, 200 + d, 1));
  }
  CHECK(out.get(312, 200, 0) == 128);
  CHECK(out.get(0, 519, 0) == 255);
  CHECK(out.get(599, 0, 0) == 128);
}

TEST_CASE("an overlay copes with any size, format and probability, and without an object is the photo") {
  for (const PixelFormat format : kFormats) {
    for (const Size size : kSizes) {
      CAPTURE(static_cast<int>(format));
      CAPTURE(size.width);
      CAPTURE(size.height);
      const Picture photo(size, format, 11);
      overlay(photo, awkward_probability(size, 12), {{0, 0}});
      for (const float nothing : {0.0f, kNan, -kInfinity}) {
        const Picture out = overlay(photo, Probability(size, nothing));
        int wrong = 0;
        for (int y = 0; y < size.height; ++y) {
          for (int x = 0; x < size.width; ++x) {
            for (int c = 0; c < 3; ++c) wrong += out.get(x, y, c) != photo.get(x, y, c);
          }
        }
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("effects name what is wrong with their arguments") {
  const Size size{8, 6};
  const Picture photo(size, PixelFormat::kRgb, 13);
  const Probability p(size), wide({9, 6});
  Picture rgb(8, 6, PixelFormat::kRgb), rgba(8, 6, PixelFormat::kRgba), tall(8, 7, PixelFormat::kRgba);
  std::vector<std::byte> scratch(100000);
  const CutOut cut{photo.view(), p.view(), rgba.out()};
  const BackgroundBlur blurred{photo.view(), p.view(), 3, rgb.out(), scratch};
  const Overlay drawn{photo.view(), p.view(), 0.5f, {}, rgb.out()};
  CHECK(static_cast<bool>(check(cut)));
  CHECK(static_cast<bool>(check(blurred)));
  CHECK(static_cast<bool>(check(drawn)));
  const auto sentence = [](auto effect, auto change) {
    change(effect);
    const Status status = run(Cpu{1}, effect);
    CHECK(status.code() == Code::kInvalidArgument);
    return status.message();
  };
  CHECK(sentence(cut, [](auto& e) { e.image.data = nullptr; }) == "The effect needs a photo, a probability map and a result.");
  CHECK(sentence(cut, [](auto& e) { e.image.height = 0; }) == "The photo's size 8x0 is not positive.");
  CHECK(sentence(cut, [&](auto& e) { e.probability = wide.view(); }) == "The probability map is 9x6, the photo 8x6.");
  CHECK(sentence(cut, [&](auto& e) { e.dst = tall.out(); }) == "The result is 8x7, the photo 8x6.");
  CHECK(sentence(cut, [&](auto& e) { e.dst = rgb.out(); }) == "The result must be RGBA.");
  CHECK(sentence(drawn, [&](auto& e) { e.dst = rgba.out(); }) == "The result must be RGB.");
  CHECK(sentence(cut, [](auto& e) { e.image.row_stride = 23; }) == "The photo's row stride is less than one row.");
  CHECK(sentence(cut, [](auto& e) { e.dst.row_stride = 31; }) == "The result's row stride is less than one row.");
  const std::string stride = "The probability map's row stride is less than one row or not a multiple of 4.";
  CHECK(sentence(drawn, [](auto& e) { e.probability.row_stride = 31; }) == stride);
  CHECK(sentence(drawn, [](auto& e) { e.probability.row_stride = 34; }) == stride);
  CHECK(sentence(drawn, [](auto& e) { e.image.data = e.dst.data; }) == "The result must not be the photo itself.");
  CHECK(sentence(drawn, [](auto& e) { e.threshold = kNan; }) == "The threshold nan is not between 0 and 1.");
  const Point taps[] = {{1, 1}, {kNan, 2}};
  CHECK(sentence(drawn, [&](auto& e) { e.taps = taps; }) == "Tap 2 has a coordinate that is not a finite number.");
  for (const float radius : {-1.0f, kNan, 1001.0f}) {
    const std::string expected = "The blur radius " + std::to_string(radius) + " is not between 0 and 1000 pixels.";
    CHECK(sentence(blurred, [&](auto& e) { e.radius = radius; }) == expected);
  }
  const auto starve = [](auto& e) { e.scratch = e.scratch.first(scratch_bytes(Cpu{1}, e) - 1); };
  CHECK(sentence(blurred, starve) == "The scratch memory of the background blur is too small.");
}

TEST_CASE("an effect's cost is one reading of photo and probability and one writing of the result") {
  const Size size{8, 6};
  const Picture photo(size, PixelFormat::kGrey, 14);
  Picture out(8, 6, PixelFormat::kRgba);
  const Cost c = cost(CutOut{photo.view(), Probability(size).view(), out.out()});
  CHECK(c.bytes_read == 48 * 5);
  CHECK(c.bytes_written == 48 * 4);
}

}  // namespace
}  // namespace mfs::core
