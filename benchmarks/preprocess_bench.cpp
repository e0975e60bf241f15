#include "kernels/preprocess.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

void run_case(benchmark::State& state, int width, int height, DType dtype) {
  RotatingBuffer photo(std::int64_t{3} * width * height, DType::kU8);
  RotatingTensor dst({1, 512, 512, 4}, dtype);
  const Point taps[] = {{static_cast<float>(width) / 3, static_cast<float>(height) / 2}};
  Preprocess problem;
  problem.taps = taps, problem.mean = {0.485f, 0.456f, 0.406f}, problem.std = {0.229f, 0.224f, 0.225f};
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
    for (const auto& [width, height] : kPhotoSizes) {
      add("preprocess " + std::to_string(width) + "x" + std::to_string(height) + " to 512x512 " + name_of(dtype),
          [w = width, h = height, dtype](benchmark::State& state) { run_case(state, w, h, dtype); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
