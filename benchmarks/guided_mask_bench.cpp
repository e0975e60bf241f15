#include "kernels/guided_mask.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

struct Case {
  const char* name;
  bool probability;
};
constexpr Case kCases[] = {{"mask", false}, {"probability + mask", true}};

template <typename Device>
void run_case(Bench<Device>& bench, const Case& c, int width, int height) {
  const std::int64_t pixels = std::int64_t{width} * height;
  RotatingTensor planes = bench.tensor({1, 160, 160, 4}, DType::kF32);
  RotatingBuffer photo = bench.buffer(3 * pixels, DType::kU8), probability = bench.buffer(pixels, DType::kF32),
                 mask = bench.buffer(pixels, DType::kU8);
  GuidedMask problem;
  problem.probability_stride = std::int64_t{4} * width, problem.mask_stride = width;
  const auto next = [&] {
    problem.planes = planes.next();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(photo.next());
    problem.image = {bytes, width, height, std::int64_t{3} * width, PixelFormat::kRgb};
    if (c.probability) problem.probability = reinterpret_cast<float*>(probability.next());
    problem.mask = reinterpret_cast<std::uint8_t*>(mask.next());
  };
  bench.measure_next(problem, DType::kF32, next);
}

const bool kRegistered = [] {
  for (const Case& c : kCases) {
    for (const auto& [width, height] : kPhotoSizes) {
      add("guided_mask 160x160 to " + std::to_string(width) + "x" + std::to_string(height) + " " + c.name,
          [&c, w = width, h = height](auto& bench) { run_case(bench, c, w, h); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
