// What people do with a mask: cut the object out, blur what is behind it, draw it over the photo.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// Photo with the probability as soft alpha: dst RGBA of the photo's size; alpha 0 below probability 0.25, 255 above 0.75,
// linear between (an edge about as soft as the mask's own resolution), times the photo's own alpha.
struct CutOut {
  ImageView image;
  MapView probability;
  MutImageView dst;
};

// Depth-of-field look: dst RGB of the photo's size. The background is blurred with a disc of `radius` photo pixels,
// averaging background pixels only (normalised by their weight), so the subject never bleeds into it.
struct BackgroundBlur {
  ImageView image;
  MapView probability;
  float radius = 12;
  MutImageView dst;
  std::span<std::byte> scratch;
};

// Photo tinted where the object is, its contour drawn, and a ring with a dot at every tap: dst RGB of the photo's size.
// Taps are in host memory; on the GPU at most 256.
struct Overlay {
  ImageView image;
  MapView probability;
  float threshold = 0.5f;
  std::span<const Point> taps;
  MutImageView dst;
};

std::size_t scratch_bytes(const Cpu&, const BackgroundBlur&);
std::size_t scratch_bytes(const Cuda&, const BackgroundBlur&);

Status check(const CutOut&);
Status check(const BackgroundBlur&);
Status check(const Overlay&);
Cost cost(const CutOut&);
Cost cost(const BackgroundBlur&);
Cost cost(const Overlay&);
Status run(const Cpu&, const CutOut&);
Status run(const Cuda&, const CutOut&);
Status run(const Cpu&, const BackgroundBlur&);
Status run(const Cuda&, const BackgroundBlur&);
Status run(const Cpu&, const Overlay&);
Status run(const Cuda&, const Overlay&);

}  // namespace mfs::core
