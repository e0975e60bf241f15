#include "kernels/effects.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// A photo of 12 megapixels and a round object with a soft edge.
constexpr int kWidth = 4000, kHeight = 3000;

struct Pictures {
  RotatingBuffer photo, result;
  Memory map;

  template <typename Device>
  explicit Pictures(const Bench<Device>& bench)
      : photo(bench.buffer(std::int64_t{3} * kWidth * kHeight, DType::kU8)),
        result(bench.buffer(std::int64_t{4} * kWidth * kHeight, DType::kU8)),
        map(bench.memory(sizeof(float) * kWidth * kHeight)) {
    std::vector<float> values;
    values.reserve(std::size_t{kWidth} * kHeight);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const float distance = std::hypot(static_cast<float>(x - kWidth / 2), static_cast<float>(y - kHeight / 2));
        values.push_back(std::clamp((1000 - distance) / 60 + 0.5f, 0.0f, 1.0f));
      }
    }
    map.write(0, values.data(), map.size());
  }
  ImageView image() {
    return {reinterpret_cast<const std::uint8_t*>(photo.next()), kWidth, kHeight, std::int64_t{3} * kWidth, PixelFormat::kRgb};
  }
  MapView probability() const {
    return {reinterpret_cast<const float*>(map.data()), kWidth, kHeight, std::int64_t{4} * kWidth};
  }
  MutImageView dst(PixelFormat format) {
    auto* pixels = reinterpret_cast<std::uint8_t*>(result.next());
    return {pixels, kWidth, kHeight, std::int64_t{channels_of(format)} * kWidth, format};
  }
};

const bool kRegistered = [] {
  add("cut_out 4000x3000", [](auto& bench) {
    Pictures p(bench);
    const auto next = [&] { return CutOut{p.image(), p.probability(), p.dst(PixelFormat::kRgba)}; };
    bench.measure(cost(next()), DType::kF32, [&] { return run(bench.device(), next()); });
  });
  add("overlay 4000x3000", [](auto& bench) {
    Pictures p(bench);
    const Point taps[] = {{kWidth / 2, kHeight / 2}};
    const auto next = [&] { return Overlay{p.image(), p.probability(), 0.5f, taps, p.dst(PixelFormat::kRgb)}; };
    bench.measure(cost(next()), DType::kF32, [&] { return run(bench.device(), next()); });
  });
  for (const int radius : {6, 24, 60}) {
    add("background_blur 4000x3000 radius " + std::to_string(radius), [=](auto& bench) {
      Pictures p(bench);
      BackgroundBlur problem{p.image(), p.probability(), static_cast<float>(radius), p.dst(PixelFormat::kRgb), {}};
      bench.measure_next(problem, DType::kF32, [&] { problem.image = p.image(), problem.dst = p.dst(PixelFormat::kRgb); });
    });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
