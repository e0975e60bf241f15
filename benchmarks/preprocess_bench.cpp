#include "kernels/preprocess.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, int width, int height, DType dtype) {
  RotatingBuffer photo(std::int64_t{3} * width * height, DType::kU8);
  RotatingTensor dst({1, 512, 512, 4}, dtype);
  const Point taps[] = {{static_cast<float>(width) / 3, static_cast<float>(height) / 2}};
  Preprocess problem{.taps = taps, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}, .dst = dst.next()};
  const auto next = [&] {
    const auto* pixels = reinterpret_cast<const std::uint8_t*>(photo.next());
    problem.image = {pixels, width, height, std::int64_t{3} * width, PixelFormat::kRgb};
    problem.dst = dst.next();
  };
  next();
  const AlignedBuffer scratch(scratch_bytes(settings().cpu, problem));
  problem.scratch = scratch.span();
  measure(state, cost(problem), DType::kF32, [&] {
    next();
    return run(settings().cpu, problem);
  });
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const auto [width, height] : {std::pair{640, 480}, std::pair{1920, 1080}, std::pair{4000, 3000}}) {
      add("preprocess " + std::to_string(width) + "x" + std::to_string(height) + " to 512x512 " + name_of(dtype),
          [=](benchmark::State& state) { run_case(state, width, height, dtype); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
