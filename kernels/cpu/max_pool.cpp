#include "kernels/max_pool.h"

#include <algorithm>

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

// A window after clipping: its first pixel and its extent in pixels. Steps are in elements.
template <typename T>
struct Window {
  const T* first;
  int rows, columns;
  std::ptrdiff_t row_step, pitch;
};

// kLanes channels at once, kept in registers over the whole window. A NaN wins, as in PyTorch: it must not vanish.
template <int kLanes, typename T>
MFS_INLINE void max_of_lanes(const Window<T>& window, int channel, T* dst) {
  float best[kLanes];
  for (int l = 0; l < kLanes; ++l) best[l] = static_cast<float>(window.first[channel + l]);
  for (int y = 0; y < window.rows; ++y) {
    const T* row = window.first + y * window.row_step + channel;
    for (int x = 0; x < window.columns; ++x, row += window.pitch) {
      for (int l = 0; l < kLanes; ++l) {
        const float v = static_cast<float>(row[l]);
        best[l] = ((v > best[l]) | (v != v)) ? v : best[l];
      }
    }
  }
  for (int l = 0; l < kLanes; ++l) dst[channel + l] = static_cast<T>(best[l]);
}

template <typename T>
MFS_MULTIVERSION void max_of_window(const Window<T>& window, int channels, T* dst) {
  int c = 0;
  for (; c + 64 <= channels; c += 64) max_of_lanes<64>(window, c, dst);
  for (; c + 16 <= channels; c += 16) max_of_lanes<16>(window, c, dst);
  for (; c < channels; ++c) max_of_lanes<1>(window, c, dst);
}

template <typename T>
void pool(const Cpu& cpu, const MaxPool& op) {
  const Shape &in = op.src.shape, &out = op.dst.shape;
  parallel_ranges(cpu, std::int64_t{out.n} * out.h, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      const int top = static_cast<int>(r % out.h) * op.stride - op.pad;
      const int y0 = std::max(top, 0), y1 = std::min(top + op.kernel, in.h);
      const T* src = row_of<T>(op.src, r / out.h * in.h + y0);
      T* dst = row_of<T>(op.dst, r);
      for (int x = 0; x < out.w; ++x, dst += op.dst.pitch) {
        const int left = x * op.stride - op.pad;
        const int x0 = std::max(left, 0), x1 = std::min(left + op.kernel, in.w);
        const std::ptrdiff_t pitch = op.src.pitch;
        max_of_window(Window<T>{src + x0 * pitch, y1 - y0, x1 - x0, in.w * pitch, pitch}, in.c, dst);
      }
    }
  });
}

}  // namespace

Status run(const Cpu& cpu, const MaxPool& op) {
  if (Status s = check(op); !s) return s;
  return with_element_type("max_pool", op.src.dtype, [&](auto zero) { pool<decltype(zero)>(cpu, op); });
}

}  // namespace mfs::core
