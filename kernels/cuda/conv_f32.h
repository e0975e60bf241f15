// Convolutions in f32, for few pixels: the 1x1 convolutions of the pyramid's pooled context, which read their weights once.
#pragma once

#include "kernels/conv_group.h"
#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/shuffle.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

struct ConvF32Params {
  const float *src, *joined, *weights, *bias, *residual;  // weights: channel out, tap, channel in; then those of joined
  float* dst;
  Shape in, out, joined_shape;
  int kernel, stride, dilation, pad, joined_stride;
  int src_pitch, joined_pitch, residual_pitch, dst_pitch;
  bool relu;
};

// Warps from first_warp[i] on do of[i].
struct ConvF32Group {
  ConvF32Params of[kMostGrouped];
  int first_warp[kMostGrouped];
  int count;
};

inline constexpr int kF32Pixels = 8, kF32Channels = 4, kF32Threads = 128;

// A warp's sums for 8 pixels and 4 output channels; its lanes share out the input channels.
struct ConvF32Sums {
  float at[kF32Pixels][kF32Channels] = {};

  // Adds one tap. pixel[i]: the pixel's channels or null; weights: of the first output channel, `step` to the next.
  template <int kWidth>
  MFS_DEVICE void add(const float* const (&pixel)[kF32Pixels], int channels, const float* weights, int64_t step, int outputs) {
    for (int c = static_cast<int>(simt::lane_index()) * kWidth; c < channels; c += 32 * kWidth) {
      float w[kF32Channels][kWidth];
      MFS_UNROLL
      for (int o = 0; o < kF32Channels; ++o) load(o < outputs ? weights + o * step + c : nullptr, w[o]);
      MFS_UNROLL
      for (int i = 0; i < kF32Pixels; ++i) {
        float v[kWidth];
        load(pixel[i] != nullptr ? pixel[i] + c : nullptr, v);
        MFS_UNROLL
        for (int o = 0; o < kF32Channels; ++o) {
          MFS_UNROLL
          for (int k = 0; k < kWidth; ++k) at[i][o] += v[k] * w[o][k];
        }
      }
    }
  }

 private:
  template <int kWidth>
  MFS_DEVICE static void load(const float* p, float (&v)[kWidth]) {
    if constexpr (kWidth == 4) {
      const simt::F32x4 x = p != nullptr ? simt::load(reinterpret_cast<const simt::F32x4*>(p)) : simt::F32x4{0, 0, 0, 0};
      v[0] = x.x, v[1] = x.y, v[2] = x.z, v[3] = x.w;
    } else {
      v[0] = p != nullptr ? simt::load(p) : 0;
    }
  }
};

template <int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kF32Threads, 1) conv_f32_kernel(const MFS_GRID_CONSTANT ConvF32Group group) {
  simt::grid_dependency_wait();
  int warp = static_cast<int>(global_thread() / 32), member = 0;
  while (member + 1 < group.count && group.first_warp[member + 1] <= warp) ++member;
  const ConvF32Params& p = group.of[member];
  warp -= group.first_warp[member];
  const int groups = (p.out.c + kF32Channels - 1) / kF32Channels, lane = static_cast<int>(simt::lane_index());
  const int pixels = p.out.n * p.out.h * p.out.w;
  const int first_pixel = warp / groups * kF32Pixels;
  if (first_pixel >= pixels) return;
  const int channel = warp % groups * kF32Channels, outputs = p.out.c - channel;
  const int64_t filter = int64_t{p.kernel} * p.kernel * p.in.c + p.joined_shape.c;
  const float* weights = p.weights + channel * filter;

  ConvF32Sums sums;
  const float* pixel[kF32Pixels];
  for (int ky = 0; ky < p.kernel; ++ky) {
    for (int kx = 0; kx < p.kernel; ++kx, weights += p.in.c) {
      MFS_UNROLL
      for (int i = 0; i < kF32Pixels; ++i) {
        const int m = first_pixel + i, image = m / p.out.w / p.out.h;
        const int y = m / p.out.w % p.out.h * p.stride - p.pad + ky * p.dilation;
        const int x = m % p.out.w * p.stride - p.pad + kx * p.dilation;
        const bool inside = m < pixels && y >= 0 && y < p.in.h && x >= 0 && x < p.in.w;
        pixel[i] = inside ? p.src + ((int64_t{image} * p.in.h + y) * p.in.w + x) * p.src_pitch : nullptr;
      }
      sums.add<kWidth>(pixel, p.in.c, weights, filter, outputs);
    }
  }
  if (p.joined != nullptr) {
    MFS_UNROLL
    for (int i = 0; i < kF32Pixels; ++i) {
      const int m = first_pixel + i, y = (m / p.out.w) % p.out.h * p.joined_stride, x = m % p.out.w * p.joined_stride;
      const int64_t at = (int64_t{m / p.out.w / p.out.h} * p.joined_shape.h + y) * p.joined_shape.w + x;
      pixel[i] = m < pixels ? p.joined + at * p.joined_pitch : nullptr;
    }
    sums.add<kWidth>(pixel, p.joined_shape.c, weights, filter, outputs);
  }

  float mine = 0;  // lane l finishes pixel l / 4, channel l % 4
  MFS_UNROLL
  for (int i = 0; i < kF32Pixels * kF32Channels; ++i) {
    float s = sums.at[i / kF32Channels][i % kF32Channels];
    MFS_UNROLL
    for (unsigned half = 16; half > 0; half /= 2) s += simt::shuffle_xor(s, half);
    if (i == lane) mine = s;
  }
  const int m = first_pixel + lane / kF32Channels, c = channel + lane % kF32Channels;
  if (m >= pixels || c >= p.out.c) return;
  mine += simt::load(p.bias + c);
  if (p.residual != nullptr) mine += simt::load(p.residual + int64_t{m} * p.residual_pitch + c);
  if (p.relu) mine = mine > 0 || mine != mine ? mine : 0;
  simt::store(p.dst + int64_t{m} * p.dst_pitch + c, mine);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
