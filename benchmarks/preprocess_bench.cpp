#include "kernels/preprocess.h"

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    if (v.batch > 1) continue;
    for (const auto& [width, height] : kPhotoSizes) {
      const std::string size = std::to_string(width) + "x" + std::to_string(height);
      add("preprocess " + size + " to 512x512", v, [=, w = width, h = height](auto& bench) {
        RotatingBuffer photo = bench.buffer(std::int64_t{3} * w * h, DType::kU8);
        RotatingTensor dst = bench.tensor({1, 512, 512, 4}, v.dtype);
        const Point taps[] = {{static_cast<float>(w) / 3, static_cast<float>(h) / 2}};
        Preprocess problem;
        problem.taps = taps, problem.mean = {0.485f, 0.456f, 0.406f}, problem.std = {0.229f, 0.224f, 0.225f};
        const auto next = [&] {
          const auto* pixels = reinterpret_cast<const std::uint8_t*>(photo.next());
          problem.image = {pixels, w, h, std::int64_t{3} * w, PixelFormat::kRgb};
          problem.dst = dst.next();
        };
        bench.measure_next(problem, DType::kF32, next);
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
