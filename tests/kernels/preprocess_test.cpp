#include "kernels/preprocess.h"

#include <algorithm>
#include <cstring>
#include <numbers>
#include <vector>

#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  int width, height;  // photo
  PixelFormat format;
  int h, w;  // network
  int gap;   // bytes between rows
};
constexpr Case kCases[] = {
    {"one pixel", 1, 1, PixelFormat::kRgb, 1, 1, 0},
    {"one pixel up", 1, 1, PixelFormat::kRgba, 8, 5, 4},
    {"up, odd ratio", 7, 5, PixelFormat::kRgb, 16, 33, 1},
    {"down, odd ratio", 100, 61, PixelFormat::kRgb, 9, 13, 0},
    {"wide down, tall up", 90, 7, PixelFormat::kBgr, 24, 16, 6},
    {"grey", 50, 40, PixelFormat::kGrey, 16, 24, 3},
    {"alpha ignored", 31, 47, PixelFormat::kRgba, 8, 8, 0},
    {"same size", 24, 16, PixelFormat::kRgb, 16, 24, 0},
    {"to one pixel", 300, 200, PixelFormat::kRgb, 1, 1, 0},
    {"one row", 5000, 1, PixelFormat::kRgb, 8, 64, 0},
    {"one column", 1, 3000, PixelFormat::kGrey, 64, 8, 0},
    {"photo to 512x512", 1500, 1125, PixelFormat::kRgb, 512, 512, 2},
};

struct Photo {
  GuardedBytes bytes;
  ImageView view;

  explicit Photo(const Case& k) : bytes(stride(k) * k.height), view{nullptr, k.width, k.height, 0, k.format} {
    view.data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    view.row_stride = static_cast<std::int64_t>(stride(k));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes.data()[i] = static_cast<std::byte>(256 * uniform(30, i));
  }
  static std::size_t stride(const Case& k) { return static_cast<std::size_t>(k.width) * channels_of(k.format) + k.gap; }
  double colour(int x, int y, int k) const {
    const int channels = channels_of(view.format);
    const int channel = channels == 1 ? 0 : view.format == PixelFormat::kBgr ? 2 - k : k;
    return view.row(y)[x * channels + channel];
  }
};

// One output position's triangle filter in double, PyTorch's window rule. `error` bounds what PyTorch's (and our) float
// arithmetic may change of a weighted mean of bytes: the centre is rounded twice at the magnitude of the size, each weight a
// few times; a rounded window may gain or lose a weight of that order at either end.
struct Taps {
  int first = 0;
  std::vector<double> weight;
  double error = 0;
};

Taps taps_at(int i, int src, int dst) {
  const double scale = static_cast<double>(src) / dst, support = std::max(scale, 1.0), center = scale * (i + 0.5);
  Taps t;
  t.first = std::max(static_cast<int>(center - support + 0.5), 0);
  const int end = std::min(static_cast<int>(center + support + 0.5), src);
  double total = 0;
  for (int j = t.first; j < end; ++j) {
    t.weight.push_back(std::max(0.0, 1 - std::abs((j - center + 0.5) / support)));
    total += t.weight.back();
  }
  for (double& w : t.weight) w /= total;
  const double count = static_cast<double>(t.weight.size());
  t.error = 255 * (count + 2) * (2 * kEps * src / support + 4 * kEps) / total + 255 * (count + 2) * kEps;
  return t;
}

Expected reference_colour(const Photo& photo, const Preprocess& op, const Taps& ty, const Taps& tx, int k) {
  double mean = 0;
  for (std::size_t j = 0; j < ty.weight.size(); ++j) {
    for (std::size_t i = 0; i < tx.weight.size(); ++i) {
      mean += ty.weight[j] * tx.weight[i] * photo.colour(tx.first + static_cast<int>(i), ty.first + static_cast<int>(j), k);
    }
  }
  const double gain = 1 / (255.0 * op.std[k]), offset = -double{op.mean[k]} / op.std[k];
  const double value = mean * gain + offset;
  const double arithmetic = gain * (ty.error + tx.error) + 3 * kEps * (mean * gain + std::abs(offset));
  return {value, arithmetic + rounding(op.dst.dtype, std::abs(value) + arithmetic)};
}

Expected reference_guidance(const Preprocess& op, int y, int x) {
  const double sigma = op.guidance.parameter, scale = op.guidance.scale;
  double best = op.guidance.kind == Guidance::Kind::kEuclidean ? 1e300 : 0;
  for (const Point& tap : op.taps) {
    const double dx = x - ((tap.x + 0.5) * op.dst.shape.w / op.image.width - 0.5);
    const double dy = y - ((tap.y + 0.5) * op.dst.shape.h / op.image.height - 0.5);
    const double d2 = dx * dx + dy * dy;
    switch (op.guidance.kind) {
      case Guidance::Kind::kGaussian:
        best = std::max(best, std::exp(-d2 / (2 * sigma * sigma)));
        break;
      case Guidance::Kind::kGaussianFwhm:
        best = std::max(best, std::exp(-4 * std::numbers::ln2 * d2 / (sigma * sigma)));
        break;
      case Guidance::Kind::kEuclidean:
        best = std::min(best, std::min(std::sqrt(d2), sigma) / sigma);
        break;
      case Guidance::Kind::kDisk:
        best = std::max(best, d2 <= sigma * sigma ? 1.0 : 0.0);
        break;
      case Guidance::Kind::kNone:
        break;
    }
  }
  return {scale * best, 1e-6 * scale + rounding(op.dst.dtype, scale * best)};
}

// A checked run into a guarded tensor.
Tensor preprocess(const Backend& backend, Preprocess op, const Shape& shape, DType dtype, int pitch = 0) {
  Tensor dst(shape, dtype, pitch);
  op.dst = dst.view();
  GuardedBytes scratch(scratch_bytes(backend, op));
  op.scratch = scratch.span();
  MFS_REQUIRE_OK(run(backend, op));
  CHECK(scratch.canaries_intact());
  CHECK(dst.canaries_intact());
  return dst;
}

const std::array<float, 3> kMean{0.485f, 0.456f, 0.406f}, kStd{0.229f, 0.224f, 0.225f};

// Of a network's input, and what a guided filter needs.
#if MFS_TEST_CUDA
constexpr DType kInputDTypes[] = {DType::kF32, DType::kF16, DType::kBF16};
#else
constexpr DType kInputDTypes[] = {DType::kF32, DType::kBF16};
#endif

TEST_CASE("preprocess resizes and normalises as PyTorch does") {
  for (const Case& k : kCases) SUBCASE(k.name) {
      const Photo photo(k);
      const Point tap{static_cast<float>(k.width) * 0.3f, static_cast<float>(k.height) * 0.6f};
      const int step = k.h * k.w > 10000 ? 23 : 1;  // the reference is slow
      for (const DType dtype : kInputDTypes) {
        for (const Backend& backend : backends()) {
          CAPTURE(dtype);
          CAPTURE(backend);
          Preprocess op{photo.view, {&tap, 1}, kMean, kStd, {}, {}, {}};
          op.dst.shape = {1, k.h, k.w, 4};
          if (!backend.takes(cost(op))) continue;
          Tensor dst = preprocess(backend, op, op.dst.shape, dtype);
          op.dst = dst.view();
          Diff d;
          for (int y = 0; y < k.h; y += step) {
            const Taps ty = taps_at(y, k.height, k.h);
            for (int x = 0; x < k.w; x += step) {
              const Taps tx = taps_at(x, k.width, k.w);
              for (int c = 0; c < 3; ++c) d.add(dst.at(0, y, x, c), reference_colour(photo, op, ty, tx, c), 0, y, x, c);
              d.add(dst.at(0, y, x, 3), reference_guidance(op, y, x), 0, y, x, 3);
            }
          }
          CHECK_MESSAGE(static_cast<bool>(d), d);
          CHECK(photo.bytes.canaries_intact());
        }
      }
    }
}

TEST_CASE("preprocess draws every kind of guidance map") {
  using Kind = Guidance::Kind;
  const Case k{"", 70, 50, PixelFormat::kRgb, 40, 64, 0};
  const Photo photo(k);
  const std::vector<Point> one{{20.25f, 30.5f}}, several{{0, 0}, {69.5f, 49.5f}, {33, 12}}, far{{-500, 20}};
  const std::vector<Guidance> kinds{{Kind::kGaussian, 10, 1},   {Kind::kGaussian, 3, 255}, {Kind::kGaussianFwhm, 10, 255},
                                    {Kind::kEuclidean, 255, 1}, {Kind::kEuclidean, 20, 1}, {Kind::kDisk, 5, 1},
                                    {Kind::kDisk, 7.5f, 2}};
  for (const Guidance& guidance : kinds) {
    for (const auto& taps : {one, several, far}) {
      for (const DType dtype : kInputDTypes) {
        CAPTURE(static_cast<int>(guidance.kind));
        CAPTURE(guidance.parameter);
        CAPTURE(taps.size());
        CAPTURE(dtype);
        Preprocess op{photo.view, taps, kMean, kStd, guidance, {}, {}};
        Tensor dst = preprocess(backends().back(), op, {1, k.h, k.w, 4}, dtype);
        op.dst = dst.view();
        MFS_CHECK_CLOSE(dst, ([&](int, int y, int x, int c) {
                          return c == 3 ? reference_guidance(op, y, x) : Expected{dst.at(0, y, x, c)};
                        }));
      }
    }
  }
}

TEST_CASE("a tap on a network pixel gives the peak; the edge of a disk belongs to it") {
  const Case k{"", 32, 32, PixelFormat::kRgb, 32, 32, 0};
  const Photo photo(k);
  const Point tap{12, 9};
  const Guidance bell{Guidance::Kind::kGaussian, 10, 255}, disk{Guidance::Kind::kDisk, 5, 1};
  for (const DType dtype : kInputDTypes) {
    for (const Backend& backend : backends()) {
      CAPTURE(dtype);
      CAPTURE(backend);
      const auto drawn = [&](const Guidance& guidance) {
        return preprocess(backend, {photo.view, {&tap, 1}, kMean, kStd, guidance, {}, {}}, {1, 32, 32, 4}, dtype);
      };
      CHECK(drawn(bell).at(0, 9, 12, 3) == 255);
      const Tensor round = drawn(disk);
      CHECK(round.at(0, 9 + 3, 12 + 4, 3) == 1);
      CHECK(round.at(0, 9, 12 + 5, 3) == 1);
      CHECK(round.at(0, 9 + 1, 12 + 5, 3) == 0);
    }
  }
}

TEST_CASE("preprocess gives the same with or without guidance, dense or not") {
  const Case k{"", 37, 29, PixelFormat::kRgb, 16, 24, 0};
  const Photo photo(k);
  const Point tap{5, 5};
  Guidance none;
  none.kind = Guidance::Kind::kNone;
  const Preprocess guided{photo.view, {&tap, 1}, kMean, kStd, {}, {}, {}}, plain{photo.view, {}, kMean, kStd, none, {}, {}};
  for (const DType dtype : kInputDTypes) {
    for (const Backend& backend : backends()) {
      CAPTURE(dtype);
      CAPTURE(backend);
      const Tensor with = preprocess(backend, guided, {1, 16, 24, 4}, dtype);
      const auto same = [&](int, int y, int x, int c) { return Expected{with.at(0, y, x, c)}; };
      const auto zero_last = [&](int, int y, int x, int c) { return Expected{c == 3 ? 0 : with.at(0, y, x, c)}; };
      for (const int pitch : {5, 8}) MFS_CHECK_CLOSE(preprocess(backend, guided, {1, 16, 24, 4}, dtype, pitch), same);
      for (const int pitch : {3, 8}) MFS_CHECK_CLOSE(preprocess(backend, plain, {1, 16, 24, 3}, dtype, pitch), same);
      MFS_CHECK_CLOSE(preprocess(backend, plain, {1, 16, 24, 4}, dtype), zero_last);
    }
  }
}

TEST_CASE("preprocess refuses what does not fit") {
  const Photo photo({"", 6, 4, PixelFormat::kRgb, 8, 8, 0});
  const Point tap{1, 1}, lost{std::nanf(""), 1};
  Tensor dst({1, 8, 8, 4}, kDTypes[0]), three({1, 8, 8, 3}, kDTypes[0]), sixteen({1, 8, 8, 16}, kDTypes[0]);
  const Preprocess good{photo.view, {&tap, 1}, kMean, kStd, {}, dst.view(), {}};
  CHECK(check(good));
  CHECK(run(backends().front(), good).message().find("bytes of scratch") != std::string::npos);
  const auto with = [&](const auto& change) {
    Preprocess op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([](Preprocess& o) { o.image.data = nullptr; }), "photo has no data");
  MFS_CHECK_REFUSED(with([](Preprocess& o) { o.image.height = 0; }), "photo is empty");
  MFS_CHECK_REFUSED(with([](Preprocess& o) { o.image.row_stride = 17; }), "row stride of 17");
  MFS_CHECK_REFUSED(with([](Preprocess& o) { o.taps = {}; }), "no tap");
  MFS_CHECK_REFUSED(with([&](Preprocess& o) { o.taps = {&lost, 1}; }), "not finite");
  MFS_CHECK_REFUSED(with([](Preprocess& o) { o.std[1] = 0; }), "std");
  MFS_CHECK_REFUSED(with([](Preprocess& o) { o.guidance.parameter = 0; }), "sigma");
  MFS_CHECK_REFUSED(with([&](Preprocess& o) { o.dst = three.view(); }), "expected 1x8x8x4");
  MFS_CHECK_REFUSED(with([&](Preprocess& o) { o.dst = sixteen.view(); }), "expected 1x8x8x4");
#if MFS_TEST_CUDA
  const std::vector<Point> many(257, tap);
  GuardedBytes scratch(scratch_bytes(backends().front(), good));
  Preprocess crowded = good;
  crowded.taps = many, crowded.scratch = scratch.span();
  CHECK(run(backends().front(), crowded).message() == "preprocess: 257 taps are more than the 256 that the GPU takes");
#endif
}

}  // namespace
}  // namespace mfs::core::test
