#include "kernels/quantise.h"

#include <bit>

#include "kernels/check.h"
#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

// Between 2^23 and 2^24 a float's last bit is worth one: the sum is rounded as wanted, and its low bits are the result.
MFS_MULTIVERSION void quantise_pixels(const float* src, std::ptrdiff_t src_pitch, float steps_per_unit, int pixels,
                                      int channels, std::uint8_t* dst, std::ptrdiff_t dst_pitch) {
  for (int p = 0; p < pixels; ++p, src += src_pitch, dst += dst_pitch) {
    MFS_INDEPENDENT
    for (int c = 0; c < channels; ++c) {
      const float steps = src[c] * steps_per_unit, positive = steps > 0 ? steps : 0.0f;
      dst[c] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>((positive < 255 ? positive : 255.0f) + 0x1p23f));
    }
  }
}

}  // namespace

Status run(const Cpu& cpu, const Quantise& op) {
  if (Status s = check(op); !s) return s;
  if (op.src.dtype != DType::kF32)
    return refuse("quantise", std::string("src is ") + name_of(op.src.dtype) + "; the CPU engine quantises f32");
  if (op.dst.dtype != DType::kU8) return refuse("quantise", "the CPU engine has no fp8");
  const Shape& s = op.src.shape;
  parallel_ranges(cpu, std::int64_t{s.n} * s.h, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r)
      quantise_pixels(row_of<float>(op.src, r), op.src.pitch, 1 / op.scale, s.w, s.c, row_of<std::uint8_t>(op.dst, r),
                      op.dst.pitch);
  });
  return {};
}

}  // namespace mfs::core
