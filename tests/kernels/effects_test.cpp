#include "tests/kernels/pictures.h"

namespace mfs::core::test {
namespace {

Picture overlay(const Backend& backend, const Picture& photo, const Probability& p, std::vector<Point> taps = {}) {
  Picture out(photo.width(), photo.height(), PixelFormat::kRgb, 7);
  MFS_REQUIRE_OK(run(backend, Overlay{photo.view(), p.view(), 0.5f, taps, out.out()}));
  CHECK(out.guards_intact());
  return out;
}

TEST_CASE("a cut-out is the photo with the probability as soft alpha") {
  for (const PixelFormat format : kFormats) {
    for (const Size size : kSizes) {
      CAPTURE(static_cast<int>(format));
      CAPTURE(size.width);
      CAPTURE(size.height);
      const Picture photo(size, format, 1);
      const Probability p = awkward_probability(size, 2);
      for (const Backend& backend : backends_for(size)) {
        for (const int gap : {3, 4}) {  // rows that words do not fit, rows that they do
          CAPTURE(backend);
          Picture out(size.width, size.height, PixelFormat::kRgba, gap);
          MFS_REQUIRE_OK(run(backend, CutOut{photo.view(), p.view(), out.out()}));
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
  }
}

TEST_CASE("NaN is background to an overlay") {
  const Size size{80, 60};
  const Picture photo(size, PixelFormat::kRgb, 16);
  Probability zero(size), nan(size, kNan);
  for (int y = 20; y < 50; ++y) std::fill_n(&zero.at(30, y), 25, 0.9f), std::fill_n(&nan.at(30, y), 25, 0.9f);
  for (const Backend& backend : backends_for(size)) {
    CAPTURE(backend);
    CHECK(overlay(backend, photo, nan) == overlay(backend, photo, zero));
  }
}

TEST_CASE("neither threads nor their order change an overlay") {
  const Size size{83, 61};
  const Picture photo(size, PixelFormat::kRgba, 9);
  const Probability p = awkward_probability(size, 10);
  const Picture expected = overlay(backends().front(), photo, p, {{10, 60}});
  for (const Backend& backend : more_backends_for(size)) {
    CAPTURE(backend);
    CHECK(overlay(backend, photo, p, {{10, 60}}) == expected);
  }
}

TEST_CASE("an overlay tints the object, leaves the rest and draws the contour at its width") {
  for (const Size size : {Size{300, 200}, Size{1600, 40}}) {  // lines 2 and 4 pixels wide
    const double width = std::max(2.0, std::hypot(size.width, size.height) / 400);
    for (const double edge : {100.0, 100.3, 100.5}) {
      CAPTURE(size.width);
      CAPTURE(edge);
      const Picture photo = uniform(size, 0, 0, 0);
      const Probability p = ramp(size, edge, 40);
      for (const Backend& backend : backends_for(size)) {
        CAPTURE(backend);
        const Picture out = overlay(backend, photo, p);
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
}

TEST_CASE("an overlay of a hard mask has a contour on both sides of the edge") {
  const Size size{64, 48};
  Probability p(size);
  for (int y = 10; y < 30; ++y) std::fill_n(&p.at(20, y), 20, 1.0f);
  for (const Backend& backend : backends_for(size)) {
    CAPTURE(backend);
    const Picture out = overlay(backend, uniform(size, 0, 0, 0), p);
    for (int y = 14; y < 26; ++y) {
      for (const int x : {19, 20, 39, 40}) CHECK(out.get(x, y, 0) >= 128);
      for (const int x : {17, 30, 42}) CHECK(out.get(x, y, 0) == 0);
    }
  }
}

TEST_CASE("every tap is a white dot and ring with a dark rim, also at the border") {
  const Size size{600, 520};  // diagonal 794: dot radius 3.05, ring radius 7.94
  for (const Backend& backend : backends_for(size)) {
    CAPTURE(backend);
    const Picture out =
        overlay(backend, uniform(size, 128, 128, 128), Probability(size), {{300, 200}, {-0.5f, 519.5f}, {1e30f, -1e30f}});
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
}

TEST_CASE("the last of 256 taps is drawn, over the others") {
  const Size size{70, 50};  // dot radius 2.5
  std::vector<Point> taps(256, Point{20, 25});
  taps.back() = {23, 25};
  const Probability nothing(size);
  for (const Backend& backend : backends_for(size)) {
    CAPTURE(backend);
    const Picture out = overlay(backend, uniform(size, 128, 128, 128), nothing, taps);
    CHECK(out.get(23, 25, 0) == 255);
    CHECK(out.get(20, 25, 0) < 64);  // under the last one's rim
    CHECK(out.get(60, 25, 0) == 128);
  }
}

TEST_CASE("an overlay copes with any size, format and probability, and without an object is the photo") {
  for (const PixelFormat format : kFormats) {
    for (const Size size : kSizes) {
      for (const Backend& backend : backends_for(size)) {
        CAPTURE(static_cast<int>(format));
        CAPTURE(size.width);
        CAPTURE(size.height);
        CAPTURE(backend);
        const Picture photo(size, format, 11);
        overlay(backend, photo, awkward_probability(size, 12), {{0, 0}});
        for (const float nothing : {0.0f, kNan, -kInfinity}) {
          const Picture out = overlay(backend, photo, Probability(size, nothing));
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
}

TEST_CASE("effects name what is wrong with their arguments") {
  const Size size{8, 6};
  const Picture photo(size, PixelFormat::kRgb, 13);
  const Probability p(size), wide({9, 6});
  Picture rgb(8, 6, PixelFormat::kRgb), rgba(8, 6, PixelFormat::kRgba), tall(8, 7, PixelFormat::kRgba);
  GuardedBytes scratch(100000);
  const CutOut cut{photo.view(), p.view(), rgba.out()};
  const BackgroundBlur blurred{photo.view(), p.view(), 12, rgb.out(), scratch.span()};
  const Overlay drawn{photo.view(), p.view(), 0.5f, {}, rgb.out()};
  CHECK(static_cast<bool>(check(cut)));
  CHECK(static_cast<bool>(check(blurred)));
  CHECK(static_cast<bool>(check(drawn)));
  const auto sentence = [](auto effect, auto change) {
    change(effect);
    const Status status = run(backends().front(), effect);
    CHECK(status.code() == Code::kInvalidArgument);
    return status.message();
  };
  CHECK(sentence(cut, [](auto& e) { e.image.data = nullptr; }) == "the effect needs a photo, a probability map and a result");
  CHECK(sentence(cut, [](auto& e) { e.image.height = 0; }) == "the photo's size 8x0 is not positive");
  CHECK(sentence(cut, [&](auto& e) { e.probability = wide.view(); }) == "the probability map is 9x6, the photo 8x6");
  CHECK(sentence(cut, [&](auto& e) { e.dst = tall.out(); }) == "the result is 8x7, the photo 8x6");
  CHECK(sentence(cut, [&](auto& e) { e.dst = rgb.out(); }) == "the result must be RGBA");
  CHECK(sentence(drawn, [&](auto& e) { e.dst = rgba.out(); }) == "the result must be RGB");
  CHECK(sentence(cut, [](auto& e) { e.image.row_stride = 23; }) == "the photo's row stride is less than one row");
  CHECK(sentence(cut, [](auto& e) { e.dst.row_stride = 31; }) == "the result's row stride is less than one row");
  const std::string stride = "the probability map's row stride is less than one row or not a multiple of 4";
  CHECK(sentence(drawn, [](auto& e) { e.probability.row_stride = 31; }) == stride);
  CHECK(sentence(drawn, [](auto& e) { e.probability.row_stride = 34; }) == stride);
  CHECK(sentence(drawn, [](auto& e) { e.image.data = e.dst.data; }) == "the result must not be the photo itself");
  CHECK(sentence(drawn, [](auto& e) { e.threshold = kNan; }) == "the threshold nan is not between 0 and 1");
  const Point taps[] = {{1, 1}, {kNan, 2}};
  CHECK(sentence(drawn, [&](auto& e) { e.taps = taps; }) == "Tap 2 has a coordinate that is not a finite number.");
  for (const float radius : {-1.0f, kNan, 1001.0f}) {
    const std::string expected = "the blur radius " + std::to_string(radius) + " is not between 0 and 1000 pixels";
    CHECK(sentence(blurred, [&](auto& e) { e.radius = radius; }) == expected);
  }
  const auto starve = [](auto& e) { e.scratch = e.scratch.first(scratch_bytes(backends().front(), e) - 1); };
  CHECK(sentence(blurred, starve) == "the scratch memory of the background blur is too small");
#if MFS_TEST_CUDA
  const std::vector<Point> many(257);
  CHECK(sentence(drawn, [&](auto& e) { e.taps = many; }) == "overlay: 257 taps are more than the 256 that the GPU takes");
#endif
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
}  // namespace mfs::core::test
