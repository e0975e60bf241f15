#include "kernels/guided_mask.h"

#include <algorithm>
#include <vector>

#include "tests/kernels/mask_outputs.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  int grid_h, grid_w, height, width;
  PixelFormat format;
};
constexpr Case kCases[] = {
    {"one pixel", 1, 1, 1, 1, PixelFormat::kRgb},
    {"one pixel to many", 1, 1, 7, 5, PixelFormat::kGrey},
    {"one row", 1, 9, 4, 33, PixelFormat::kBgr},
    {"up, oblong", 8, 11, 37, 101, PixelFormat::kRgba},
    {"down", 20, 30, 7, 11, PixelFormat::kRgb},
    {"same size", 6, 7, 6, 7, PixelFormat::kBgr},
    {"more than a piece wide", 3, 5, 9, 1100, PixelFormat::kRgb},
};

// Noise, rows with gaps, guarded.
struct Photo {
  GuardedBytes bytes;
  ImageView image;

  explicit Photo(const Case& k)
      : bytes(static_cast<std::size_t>(k.height) * (k.width * channels_of(k.format) + 5)),
        image{nullptr, k.width, k.height, std::int64_t{k.width} * channels_of(k.format) + 5, k.format} {
    image.data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes.data()[i] = static_cast<std::byte>(256 * uniform(60, i));
  }
  int colour(int y, int x, int k) const {
    const int channels = channels_of(image.format);
    const int channel = channels == 1 ? 0 : image.format == PixelFormat::kBgr ? 2 - k : k;
    return image.row(y)[x * channels + channel];
  }
};

GuidedMask problem(const Tensor& planes, const Photo& photo, float threshold) {
  GuidedMask op;
  op.planes = planes.view(), op.image = photo.image, op.threshold = threshold;
  return op;
}

double position(int i, int src, int dst) { return std::clamp((i + 0.5) * src / dst - 0.5, 0.0, src - 1.0); }

// A coefficient at a pixel of the photo; how far rounding may take it is told in upsample_mask_test.
Expected coefficient(const Tensor& planes, const ImageView& image, int y, int x, int c) {
  const Shape& grid = planes.shape();
  const double py = position(y, grid.h, image.height), px = position(x, grid.w, image.width);
  Expected e;
  double magnitude = 0;
  for (int sy = static_cast<int>(py); sy <= std::min(static_cast<int>(py) + 1, grid.h - 1); ++sy)
    for (int sx = static_cast<int>(px); sx <= std::min(static_cast<int>(px) + 1, grid.w - 1); ++sx) {
      e.value += std::max(0.0, 1 - std::abs(sy - py)) * std::max(0.0, 1 - std::abs(sx - px)) * planes.at(0, sy, sx, c);
      magnitude = std::max(magnitude, std::abs(planes.at(0, sy, sx, c)));
    }
  e.bound = 14 * kEps * magnitude;
  return e;
}

// A centred colour is three roundings of at most 1 each off, its product with a coefficient one more; three sums.
Expected reference(const Tensor& planes, const Photo& photo, int y, int x) {
  Expected e = coefficient(planes, photo.image, y, x, 3);
  double magnitude = std::abs(e.value);
  for (int c = 0; c < 3; ++c) {
    const Expected a = coefficient(planes, photo.image, y, x, c);
    const double colour = photo.colour(y, x, c) / 255.0 - 0.5;
    e.value += a.value * colour, e.bound += a.bound * std::abs(colour) + 4 * kEps * std::abs(a.value);
    magnitude += std::abs(a.value * colour);
  }
  e.bound += 4 * kEps * magnitude;
  e.value = std::clamp(e.value, 0.0, 1.0);
  return e;
}

TEST_CASE("guided_mask matches the double-precision reference") {
  for (const Case& k : kCases) SUBCASE(k.name) {
      Tensor planes = random_values({1, k.grid_h, k.grid_w, 4}, DType::kF32, 0, 61, 2);
      for (int i = 0; i < k.grid_h * k.grid_w; ++i) planes.floats()[4 * i + 3] = planes.floats()[4 * i + 3] / 4 + 0.5f;
      const Photo photo(k);
      for (const float threshold : {0.5f, 0.1f}) {
        for (const Backend& backend : backends()) {
          CAPTURE(threshold);
          CAPTURE(backend);
          const GuidedMask op = problem(planes, photo, threshold);
          if (!backend.takes(cost(op))) continue;
          MaskOutputs both(k.width, k.height);
          run_for_each_output(backend, op, both);
          CHECK(photo.bytes.canaries_intact());
          Diff d;
          int clamped = 0;
          for (int y = 0; y < k.height; ++y) {
            for (int x = 0; x < k.width; ++x) {
              d.add(both.p(y, x), reference(planes, photo, y, x), 0, y, x, 0);
              clamped += both.p(y, x) == 0 || both.p(y, x) == 1 ? 1 : 0;
            }
          }
          CHECK_MESSAGE(static_cast<bool>(d), d);
          if (k.width * k.height > 100) CHECK(clamped > 0);
        }
      }
    }
}

TEST_CASE("NaN coefficients give a NaN probability and no object") {
  const Tensor planes({1, 1, 1, 4}, DType::kF32);  // NaN until written
  const Photo photo({"", 1, 1, 1, 1, PixelFormat::kRgb});
  MaskOutputs both(1, 1);
  both.run_with(backends().front(), problem(planes, photo, 0.5f), true, true);
  CHECK(std::isnan(both.p(0, 0)));
  CHECK(both.m(0, 0) == 0);
}

TEST_CASE("guided_mask refuses what does not fit") {
  const Tensor planes({1, 2, 2, 4}, DType::kF32), three({1, 2, 2, 3}, DType::kF32);
  const std::uint8_t photo[18] = {};
  std::uint8_t mask[6];
  float probability[6];
  const GuidedMask good{planes.view(), {photo, 3, 2, 9, PixelFormat::kRgb}, 0.5f, probability, 12, mask, 3, {}};
  CHECK(check(good));
  if (scratch_bytes(backends().front(), good) > 0) {
    CHECK(run(backends().front(), good).message().find("bytes of scratch") != std::string::npos);
  }
  const auto with = [&](const auto& change) {
    GuidedMask op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([&](GuidedMask& o) { o.planes = three.view(); }), "expected 1x2x2x4");
  MFS_CHECK_REFUSED(with([](GuidedMask& o) { o.image.data = nullptr; }), "photo has no data");
  MFS_CHECK_REFUSED(with([](GuidedMask& o) { o.image.width = 0; }), "photo is empty");
  MFS_CHECK_REFUSED(with([](GuidedMask& o) { o.image.row_stride = 8; }), "photo row stride");
  check_outputs_refused(good);
#if MFS_TEST_CUDA
  Tensor more({1, 3, 2, 4}, DType::kF32);
  const GuidedMask askew = with([&](GuidedMask& o) { o.planes.data = more.floats() + 1; });
  CHECK(run(backends().front(), askew).message().find("16-byte aligned") != std::string::npos);
#endif
}

}  // namespace
}  // namespace mfs::core::test
