#include <algorithm>

#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pixels.h"
#include "kernels/effects.h"

namespace mfs::core {
namespace {

MFS_MULTIVERSION void cut_out_piece(PixelFormat format, const std::uint8_t* src, const float* probability, int n,
                                    std::uint8_t* dst) {
  PixelPlanes px;
  load_pixels(format, src, n, px);
  if (format == PixelFormat::kRgba) {
    for (int i = 0; i < n; ++i) {
      const int product = soft_alpha(probability[i]) * px.a[i] + 128;
      px.a[i] = static_cast<std::uint8_t>((product + (product >> 8)) >> 8);  // the nearest integer to product / 255
    }
  } else {
    for (int i = 0; i < n; ++i) px.a[i] = static_cast<std::uint8_t>(soft_alpha(probability[i]));
  }
  for (int i = 0; i < n; ++i) {
    dst[4 * i] = px.r[i], dst[4 * i + 1] = px.g[i], dst[4 * i + 2] = px.b[i], dst[4 * i + 3] = px.a[i];
  }
}

}  // namespace

Status run(const Cpu& cpu, const CutOut& e) {
  if (Status s = check(e); !s) return s;
  const int channels = channels_of(e.image.format);
  parallel_ranges(cpu, e.image.height, [&](std::int64_t begin, std::int64_t end, int) {
    for (int y = static_cast<int>(begin); y < end; ++y) {
      for (int x = 0; x < e.image.width; x += kPiece) {
        const int n = std::min(kPiece, e.image.width - x);
        cut_out_piece(e.image.format, e.image.row(y) + std::int64_t{x} * channels, e.probability.row(y) + x, n,
                      e.dst.row(y) + std::int64_t{x} * 4);
      }
    }
  });
  return {};
}

}  // namespace mfs::core
