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

void run_case(benchmark::State& state, const Case& c, int width, int height) {
  const std::int64_t pixels = std::int64_t{width} * height;
  RotatingTensor logit({1, 64, 64, 1}, DType::kF32);
  RotatingBuffer probability(pixels, DType::kF32), mask(pixels, DType::kU8);
  UpsampleMask problem;
  problem.domain = c.domain, problem.width = width, problem.height = height;
  problem.probability_stride = std::int64_t{4} * width, problem.mask_stride = width;
  const auto next = [&] {
    problem.logit = logit.next();
    if (c.probability) problem.probability = reinterpret_cast<float*>(probability.next());
    if (c.mask) problem.mask = reinterpret_cast<std::uint8_t*>(mask.next());
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
  for (const Case& c : kCases) {
    for (const auto& [width, height] : kPhotoSizes) {
      add("upsample_mask 64x64 to " + std::to_string(width) + "x" + std::to_string(height) + " " + c.name,
          [&c, w = width, h = height](benchmark::State& state) { run_case(state, c, w, h); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
