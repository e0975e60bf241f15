#include "kernels/effects.h"

#include <algorithm>
#include <cmath>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// A photo of 12 megapixels and a round object with a soft edge.
constexpr int kWidth = 4000, kHeight = 3000;

struct Pictures {
  RotatingBuffer photo{std::int64_t{3} * kWidth * kHeight, DType::kU8};
  RotatingBuffer result{std::int64_t{4} * kWidth * kHeight, DType::kU8};
  AlignedBuffer map{sizeof(float) * kWidth * kHeight};

  Pictures() {
    auto* p = reinterpret_cast<float*>(map.data());
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const float distance = std::hypot(static_cast<float>(x - kWidth / 2), static_cast<float>(y - kHeight / 2));
        *p++ = std::clamp((1000 - distance) / 60 + 0.5f, 0.0f, 1.0f);
      }
    }
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

void cut_out(benchmark::State& state) {
  Pictures p;
  const auto next = [&] { return CutOut{p.image(), p.probability(), p.dst(PixelFormat::kRgba)}; };
  measure(state, cost(next()), DType::kF32, [&] { return run(settings().cpu, next()); });
}

void overlay(benchmark::State& state) {
  Pictures p;
  const Point taps[] = {{kWidth / 2, kHeight / 2}};
  const auto next = [&] { return Overlay{p.image(), p.probability(), 0.5f, taps, p.dst(PixelFormat::kRgb)}; };
  measure(state, cost(next()), DType::kF32, [&] { return run(settings().cpu, next()); });
}

void background_blur(benchmark::State& state, float radius) {
  Pictures p;
  BackgroundBlur problem{p.image(), p.probability(), radius, p.dst(PixelFormat::kRgb), {}};
  const AlignedBuffer scratch(scratch_bytes(settings().cpu, problem));
  problem.scratch = scratch.span();
  measure(state, cost(problem), DType::kF32, [&] {
    problem.image = p.image(), problem.dst = p.dst(PixelFormat::kRgb);
    return run(settings().cpu, problem);
  });
}

const bool kRegistered = [] {
  add("cut_out 4000x3000", cut_out);
  add("overlay 4000x3000", overlay);
  for (const int radius : {6, 24, 60}) {
    add("background_blur 4000x3000 radius " + std::to_string(radius),
        [=](benchmark::State& state) { background_blur(state, static_cast<float>(radius)); });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
