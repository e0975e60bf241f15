// Photo and taps to network input in one operation (network.md section 1; the paper's Section 3.3 for the guidance map).
#pragma once

#include <array>
#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

struct Guidance {
  enum class Kind { kNone, kGaussian, kGaussianFwhm, kEuclidean, kDisk };
  Kind kind = Kind::kGaussian;
  float parameter = 10;  // sigma, clip or radius, in network pixels
  float scale = 1;
};

// dst (n = 1, any h and w, c = 4, or 3 when guidance is none), any pitch; f32 or bf16, on the GPU also f16:
//   channels 0..2 = (resize(rgb) / 255 - mean) / std, bilinear with half-pixel centres, antialiased when shrinking;
//   channel 3     = guidance map of the taps, drawn on the network grid (taps scaled with the photo, not rounded);
//                   zero when guidance is none.
// Grey photos give R = G = B; alpha is ignored. Taps are finite photo coordinates in host memory, at least one unless guidance
// is none; on the GPU at most 256. scratch: scratch_bytes() bytes, 64-byte aligned. Allocates nothing.
struct Preprocess {
  ImageView image;
  std::span<const Point> taps;
  std::array<float, 3> mean{}, std{};
  Guidance guidance;
  MutView dst;
  std::span<std::byte> scratch;
};

std::size_t scratch_bytes(const Cpu&, const Preprocess&);  // looks at image and dst sizes only
std::size_t scratch_bytes(const Cuda&, const Preprocess&);
Status check(const Preprocess&);
Cost cost(const Preprocess&);
Status run(const Cpu&, const Preprocess&);
Status run(const Cuda&, const Preprocess&);

}  // namespace mfs::core
