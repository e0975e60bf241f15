// Transforms of Winograd's F(m x m, 3 x 3) for one tile, all channels. Tiles of the source are (m + 2) x (m + 2) pixels.
#pragma once

#include <cstddef>

#include "kernels/bfloat16.h"

namespace mfs::core {

// What the output transform does with a tile of m x m pixels. Pointers are null where the tile reaches over the border;
// `residual` itself is null when there is none.
template <typename T>
struct WinogradOutput {
  const float* bias;
  const T* const* residual;
  T* const* pixels;
  bool relu;
};

// points[p * stride + c], p < (m + 2)^2, from pixels[(m + 2) * y + x][c], c < channels.
void winograd_input_2(const float* const* pixels, int channels, float* points, std::ptrdiff_t stride);
void winograd_input_4(const float* const* pixels, int channels, float* points, std::ptrdiff_t stride);
void winograd_input_2(const BFloat16* const* pixels, int channels, BFloat16* points, std::ptrdiff_t stride);

// And back: the m x m output pixels from points[p * stride + c].
void winograd_output_2(const float* points, std::ptrdiff_t stride, int channels, const WinogradOutput<float>& out);
void winograd_output_4(const float* points, std::ptrdiff_t stride, int channels, const WinogradOutput<float>& out);
void winograd_output_2(const float* points, std::ptrdiff_t stride, int channels, const WinogradOutput<BFloat16>& out);

// points[p * stride], p < (m + 2)^2, from one 3x3 filter; m is 2 or 4. In double precision, rounded once.
void winograd_filter(int m, const float* filter, float* points, std::ptrdiff_t stride);

}  // namespace mfs::core
