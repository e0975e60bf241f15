#include "kernels/cpu/winograd_transform.h"

#include <algorithm>

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"

namespace mfs::core {
namespace {

constexpr int kLane = 64;  // channels at a time, so that a tile's intermediate stays in the first-level cache

// One-dimensional transforms with the interpolation points 0, 1, -1 (m = 2) and 0, 1, -1, 2, -2 (m = 4).
MFS_INLINE void input_1d(const float (&d)[4], float (&t)[4]) {
  t[0] = d[0] - d[2], t[1] = d[1] + d[2], t[2] = d[2] - d[1], t[3] = d[1] - d[3];
}
MFS_INLINE void input_1d(const float (&d)[6], float (&t)[6]) {
  const float even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1], even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
  t[0] = 4 * d[0] - 5 * d[2] + d[4];
  t[1] = even + odd, t[2] = even - odd;
  t[3] = even2 + odd2, t[4] = even2 - odd2;
  t[5] = 4 * d[1] - 5 * d[3] + d[5];
}
MFS_INLINE void output_1d(const float (&d)[4], float (&t)[2]) { t[0] = d[0] + d[1] + d[2], t[1] = d[1] - d[2] - d[3]; }
MFS_INLINE void output_1d(const float (&d)[6], float (&t)[4]) {
  const float sum = d[1] + d[2], difference = d[1] - d[2], sum2 = d[3] + d[4], difference2 = d[3] - d[4];
  t[0] = d[0] + sum + sum2;
  t[1] = difference + 2 * difference2;
  t[2] = sum + 4 * sum2;
  t[3] = difference + 8 * difference2 + d[5];
}

template <int m, typename T>
MFS_INLINE void input_tile(const T* const* pixels, int channels, T* points, std::ptrdiff_t stride) {
  constexpr int n = m + 2;
  alignas(64) float half[n][n][kLane];
  for (int first = 0; first < channels; first += kLane) {
    const int count = std::min(kLane, channels - first);
    for (int x = 0; x < n; ++x) {
      const T* column[n];
      for (int y = 0; y < n; ++y) column[y] = pixels[n * y + x] + first;
      MFS_INDEPENDENT
      for (int c = 0; c < count; ++c) {
        float d[n], t[n];
        for (int y = 0; y < n; ++y) d[y] = static_cast<float>(column[y][c]);
        input_1d(d, t);
        for (int y = 0; y < n; ++y) half[y][x][c] = t[y];
      }
    }
    for (int y = 0; y < n; ++y) {
      T* out = points + n * y * stride + first;
      MFS_INDEPENDENT
      for (int c = 0; c < count; ++c) {
        float d[n], t[n];
        for (int x = 0; x < n; ++x) d[x] = half[y][x][c];
        input_1d(d, t);
        for (int x = 0; x < n; ++x) out[x * stride + c] = static_cast<T>(t[x]);
      }
    }
  }
}

template <int m, typename T>
MFS_INLINE void output_tile(const float* points, std::ptrdiff_t stride, int channels, const WinogradOutput<T>& out) {
  constexpr int n = m + 2;
  alignas(64) float half[m][n][kLane];
  alignas(64) float whole[m][kLane];
  for (int first = 0; first < channels; first += kLane) {
    const int count = std::min(kLane, channels - first);
    for (int x = 0; x < n; ++x) {
      const float* column = points + x * stride + first;
      MFS_INDEPENDENT
      for (int c = 0; c < count; ++c) {
        float d[n], t[m];
        for (int y = 0; y < n; ++y) d[y] = column[n * y * stride + c];
        output_1d(d, t);
        for (int y = 0; y < m; ++y) half[y][x][c] = t[y];
      }
    }
    for (int y = 0; y < m; ++y) {
      const float* bias = out.bias + first;
      MFS_INDEPENDENT
      for (int c = 0; c < count; ++c) {
        float d[n], t[m];
        for (int x = 0; x < n; ++x) d[x] = half[y][x][c];
        output_1d(d, t);
        for (int x = 0; x < m; ++x) whole[x][c] = t[x] + bias[c];
      }
      const float floor = out.relu ? 0.0f : -__builtin_inff();
      for (int x = 0; x < m; ++x) {
        T* pixel = out.pixels[m * y + x];
        if (!pixel) continue;
        pixel += first;
        if (out.residual) {
          const T* residual = out.residual[m * y + x] + first;
          MFS_INDEPENDENT
          for (int c = 0; c < count; ++c) {
            const float v = whole[x][c] + static_cast<float>(residual[c]);
            pixel[c] = static_cast<T>(v < floor ? floor : v);  // NaN stays
          }
        } else {
          MFS_INDEPENDENT
          for (int c = 0; c < count; ++c) pixel[c] = static_cast<T>(whole[x][c] < floor ? floor : whole[x][c]);
        }
      }
    }
  }
}

constexpr double kFilter2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kFilter4[6][3] = {{1.0 / 4, 0, 0},
                                   {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                   {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                   {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                   {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                   {0, 0, 1}};

}  // namespace

MFS_MULTIVERSION void winograd_input_2(const float* const* pixels, int channels, float* points, std::ptrdiff_t stride) {
  input_tile<2>(pixels, channels, points, stride);
}
MFS_MULTIVERSION void winograd_input_4(const float* const* pixels, int channels, float* points, std::ptrdiff_t stride) {
  input_tile<4>(pixels, channels, points, stride);
}
MFS_MULTIVERSION void winograd_input_2(const BFloat16* const* pixels, int channels, BFloat16* points, std::ptrdiff_t stride) {
  input_tile<2>(pixels, channels, points, stride);
}
MFS_MULTIVERSION void winograd_output_2(const float* points, std::ptrdiff_t stride, int channels,
                                        const WinogradOutput<float>& out) {
  output_tile<2>(points, stride, channels, out);
}
MFS_MULTIVERSION void winograd_output_4(const float* points, std::ptrdiff_t stride, int channels,
                                        const WinogradOutput<float>& out) {
  output_tile<4>(points, stride, channels, out);
}
MFS_MULTIVERSION void winograd_output_2(const float* points, std::ptrdiff_t stride, int channels,
                                        const WinogradOutput<BFloat16>& out) {
  output_tile<2>(points, stride, channels, out);
}

void winograd_filter(int m, const float* filter, float* points, std::ptrdiff_t stride) {
  const double(*g)[3] = m == 2 ? kFilter2 : kFilter4;
  const int n = m + 2;
  for (int y = 0; y < n; ++y) {
    for (int x = 0; x < n; ++x) {
      double sum = 0;
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) sum += g[y][i] * double{filter[3 * i + j]} * g[x][j];
      points[(n * y + x) * stride] = static_cast<float>(sum);
    }
  }
}

}  // namespace mfs::core
