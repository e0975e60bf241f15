#include "kernels/global_average.h"

#include <algorithm>

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

template <typename T>
MFS_MULTIVERSION void sum_row(const T* src, std::ptrdiff_t pitch, int width, int channels, float* acc) {
  add_pixels(src, pitch, width, channels, acc);
}

MFS_MULTIVERSION void mean_of_parts(const float* parts, int count, std::ptrdiff_t step, float scale, int channels, float* dst) {
  std::fill_n(dst, channels, 0.0f);
  add_pixels(parts, step, count, channels, dst);
  for (int c = 0; c < channels; ++c) dst[c] *= scale;
}

template <typename T>
void average(const Cpu& cpu, const GlobalAverage& op, int threads) {
  const Shape& s = op.src.shape;
  const std::ptrdiff_t part = std::ptrdiff_t{s.n} * s.c;  // floats per thread
  std::fill_n(op.scratch, threads * part, 0.0f);
  parallel_ranges(cpu, std::int64_t{s.n} * s.h, [&](std::int64_t begin, std::int64_t end, int thread) {
    float* sums = op.scratch + thread * part;
    for (std::int64_t r = begin; r < end; ++r) sum_row(row_of<T>(op.src, r), op.src.pitch, s.w, s.c, sums + r / s.h * s.c);
  });
  const float scale = static_cast<float>(1.0 / (static_cast<double>(s.h) * s.w));
  for (int n = 0; n < s.n; ++n) {
    mean_of_parts(op.scratch + std::ptrdiff_t{n} * s.c, threads, part, scale, s.c, row_of<float>(op.dst, n));
  }
}

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const GlobalAverage& op) {
  return static_cast<std::size_t>(std::max(cpu.threads, 1)) * op.src.shape.n * op.src.shape.c * sizeof(float);
}

Status run(const Cpu& cpu, const GlobalAverage& op) {
  if (Status s = check(op); !s) return s;
  return with_element_type("global_average", op.src.dtype,
                           [&](auto zero) { average<decltype(zero)>(cpu, op, std::max(cpu.threads, 1)); });
}

}  // namespace mfs::core
