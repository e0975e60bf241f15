#include "tests/kernels/pictures.h"

namespace mfs::core::test {
namespace {

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

constexpr int kBlurGap = 5;  // some widths get rows that 32-bit words fit, others not

Picture blur(const Backend& backend, const Picture& photo, const Probability& p, float radius) {
  Picture out(photo.width(), photo.height(), PixelFormat::kRgb, kBlurGap);
  BackgroundBlur effect{photo.view(), p.view(), radius, out.out(), {}};
  GuardedBytes scratch(scratch_bytes(backend, effect));
  effect.scratch = scratch.span();
  MFS_REQUIRE_OK(run(backend, effect));
  CHECK(scratch.canaries_intact());
  CHECK(out.guards_intact());
  return out;
}

TEST_CASE("blurring leaves a uniform photo as it is") {
  for (const Size size : {Size{1, 1}, Size{37, 23}, Size{601, 13}}) {
    const Picture photo = uniform(size, 255, 1, 77);
    const Probability p = awkward_probability(size, 3);
    Picture expected(size.width, size.height, PixelFormat::kRgb, kBlurGap);
    for (int y = 0; y < size.height; ++y)
      std::memcpy(expected.row(y), photo.at(0, y), static_cast<std::size_t>(3) * size.width);
    for (const float radius : {0.0f, 0.3f, 1.0f, 3.7f, 9.99f, 10.0f, 24.0f, 64.5f, 1000.0f}) {
      for (const Backend& backend : backends_for(size)) {
        CAPTURE(radius);
        CAPTURE(size.width);
        CAPTURE(backend);
        CHECK(blur(backend, photo, p, radius) == expected);
      }
    }
  }
}

TEST_CASE("blurring by half a pixel or less changes nothing") {
  const Size size{61, 33};
  for (const PixelFormat format : kFormats) {
    const Picture photo(size, format, 4);
    const Probability p = awkward_probability(size, 5);
    for (const float radius : {0.0f, 0.5f}) {
      for (const Backend& backend : backends_for(size)) {
        CAPTURE(backend);
        const Picture out = blur(backend, photo, p, radius);
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
        const std::vector<double> expected = blur_reference(photo, p, radius);
        for (const Backend& backend : backends_for(size)) {
          CAPTURE(backend);
          const Picture out = blur(backend, photo, p, radius);
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
    const std::vector<double> expected = blur_reference(photo, p, radius);
    for (const Backend& backend : backends_for(size)) {
      CAPTURE(backend);
      const Picture out = blur(backend, photo, p, radius);
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
    for (const Backend& backend : backends_for(size)) {
      CAPTURE(backend);
      const Picture out = blur(backend, photo, p, radius);
      int wrong = 0;
      for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
          for (int c = 0; c < 3; ++c) wrong += out.get(x, y, c) != photo.get(x, y, c);
        }
      }
      CHECK(wrong == 0);  // red stays red, blue stays blue, and nothing is in between
    }
  }
}

TEST_CASE("with a soft edge, too, the background stays free of the subject's colour") {
  const Size size{160, 40};
  Picture photo = uniform(size, 0, 0, 255);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < 80; ++x) photo.set(x, y, 255, 0, 0);
  }
  const Probability p = ramp(size, 79.5, 30);
  for (const Backend& backend : backends_for(size)) {
    CAPTURE(backend);
    const Picture out = blur(backend, photo, p, 12);
    int most = 0;
    for (int y = 0; y < size.height; ++y) {
      for (int x = 95; x < size.width; ++x) most = std::max(most, out.get(x, y, 0));
    }
    // Right of the ramp some unsure subject pixels count 1/255 each: less than 1/255 of the weight, its root times 255.
    CHECK(most <= 16);
  }
}

TEST_CASE("an unsure pixel far from any background keeps its colour") {
  const Size size{130, 110};
  Picture photo(size, PixelFormat::kRgb, 15);
  for (const float radius : {6.0f, 30.0f}) {
    Probability p(size, 1);
    p.at(70, 50) = 0.6f;
    for (const Backend& backend : backends_for(size)) {
      CAPTURE(backend);
      const Picture out = blur(backend, photo, p, radius);
      for (int c = 0; c < 3; ++c) CHECK(std::abs(out.get(70, 50, c) - photo.get(70, 50, c)) <= 1);
    }
  }
}

TEST_CASE("NaN is background to the blur") {
  const Size size{80, 60};
  const Picture photo(size, PixelFormat::kRgb, 16);
  Probability zero(size), nan(size, kNan);
  for (int y = 20; y < 50; ++y) std::fill_n(&zero.at(30, y), 25, 0.9f), std::fill_n(&nan.at(30, y), 25, 0.9f);
  for (const Backend& backend : backends_for(size)) {
    CAPTURE(backend);
    CHECK(blur(backend, photo, nan, 14) == blur(backend, photo, zero, 14));
  }
}

TEST_CASE("neither threads nor their order change the blur") {
  const Size size{83, 61};
  const Picture photo(size, PixelFormat::kRgba, 9);
  const Probability p = awkward_probability(size, 10);
  for (const float radius : {4.0f, 31.0f}) {
    CAPTURE(radius);
    const Picture expected = blur(backends().front(), photo, p, radius);
    for (const Backend& backend : more_backends_for(size)) {
      CAPTURE(backend);
      CHECK(blur(backend, photo, p, radius) == expected);
    }
  }
}

}  // namespace
}  // namespace mfs::core::test
