// Photo rows as planes: what the effects share. Always inlined, so that these loops are compiled
// for the instruction set of the leaf function that calls them.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/effects_geometry.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// The effects work through rows in pieces of this many pixels, whose planes fit the first-level cache and the stack.
inline constexpr int kPiece = 512;

struct PixelPlanes {
  alignas(64) std::uint8_t r[kPiece], g[kPiece], b[kPiece], a[kPiece];
};

template <int kChannels>
[[gnu::always_inline]] inline void split_pixels(const std::uint8_t* src, int n, std::uint8_t* p0, std::uint8_t* p1,
                                                std::uint8_t* p2) {
  for (int i = 0; i < n; ++i) p0[i] = src[kChannels * i], p1[i] = src[kChannels * i + 1], p2[i] = src[kChannels * i + 2];
}

// `a` is written for photos with alpha only.
[[gnu::always_inline]] inline void load_pixels(PixelFormat format, const std::uint8_t* src, int n, PixelPlanes& to) {
  switch (format) {
    case PixelFormat::kRgb:
      return split_pixels<3>(src, n, to.r, to.g, to.b);
    case PixelFormat::kBgr:
      return split_pixels<3>(src, n, to.b, to.g, to.r);
    case PixelFormat::kRgba:
      split_pixels<4>(src, n, to.r, to.g, to.b);
      for (int i = 0; i < n; ++i) to.a[i] = src[4 * i + 3];
      return;
    case PixelFormat::kGrey:
      std::memcpy(to.r, src, static_cast<std::size_t>(n));
      std::memcpy(to.g, src, static_cast<std::size_t>(n));
      std::memcpy(to.b, src, static_cast<std::size_t>(n));
      return;
  }
}

}  // namespace mfs::core
