#include "kernels/upsample_mask.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

struct Case {
  const char* name;
  UpsampleOf domain;
  bool probability, mask;
};
constexpr Case kCases[] = {{"mask", UpsampleOf::kLogit, false, true},
                           {"probability + mask", UpsampleOf::kLogit, true, true},
                           {"probability + mask, of probabilities", UpsampleOf::kProbability, true, true}};

template <typename Device>
void run_case(Bench<Device>& bench, const Case& c, int width, int height) {
  const std::int64_t pixels = std::int64_t{width} * height;
  RotatingTensor logit = bench.tensor({1, 64, 64, 1}, DType::kF32);
  RotatingBuffer probability = bench.buffer(pixels, DType::kF32), mask = bench.buffer(pixels, DType::kU8);
  UpsampleMask problem;
  problem.domain = c.domain, problem.width = width, problem.height = height;
  problem.probability_stride = std::int64_t{4} * width, problem.mask_stride = width;
  const auto next = [&] {
    problem.logit = logit.next();
    if (c.probability) problem.probability = reinterpret_cast<float*>(probability.next());
    if (c.mask) problem.mask = reinterpret_cast<std::uint8_t*>(mask.next());
  };
  bench.measure_next(problem, DType::kF32, next);
}

const bool kRegistered = [] {
  for (const Case& c : kCases) {
    for (const auto& [width, height] : kPhotoSizes) {
      add("upsample_mask 64x64 to " + std::to_string(width) + "x" + std::to_string(height) + " " + c.name,
          [&c, w = width, h = height](auto& bench) { run_case(bench, c, w, h); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
