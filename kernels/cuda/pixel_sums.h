// Sums over rectangles of pixels, in an order that does not depend on when which block runs: what squeeze_excite and
// pyramid_pool are made of.
//
// Threads, columns x lanes of them, sum one rectangle: a thread takes kWidth channels of every lanes-th pixel, then the lanes
// are added up in shared memory.
#pragma once

#include <algorithm>

#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/barriers.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

inline constexpr unsigned kSumThreads = 256;
inline constexpr unsigned kSumBlocks = 4;  // per multiprocessor: leaves registers for several loads under way in each thread

struct Rectangle {
  int width, pixels;
  int64_t pitch, row_pitch;  // elements from a pixel to the next one, to the one below
};

template <int kWidth, class T>
MFS_DEVICE void add_pixels(const T* first, const Rectangle& r, int lane, int lanes, float (&sum)[kWidth]) {
  constexpr int kBatch = 4;  // loads under way
  const int step_x = lanes % r.width, step_y = lanes / r.width;
  int x = lane % r.width, y = lane / r.width;
  for (int i = lane; i < r.pixels; i += kBatch * lanes) {
    float v[kBatch][kWidth];
    MFS_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      // Past the end the first pixel is loaded and not added: a branch would wait for the loads one by one.
      load_channels<kWidth>(first + (i + b * lanes < r.pixels ? y * r.row_pitch + x * r.pitch : 0), v[b]);
      x += step_x, y += step_y;
      if (x >= r.width) x -= r.width, ++y;
    }
    MFS_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      MFS_UNROLL
      for (int c = 0; c < kWidth; ++c) sum[c] += i + b * lanes < r.pixels ? v[b][c] : 0.0f;
    }
  }
}

// The threads that work together, at most kSumThreads, with shared memory for kSumThreads x kWidth floats. Others of their kind
// have these members, too.
struct WholeBlock {
  unsigned columns = simt::block_size().x, lanes = simt::block_size().y;
  unsigned column = simt::thread_index().x, lane = simt::thread_index().y;
  float* memory = reinterpret_cast<float*>(simt::shared_memory());

  MFS_DEVICE void meet() const { simt::sync_block(); }
};

// dst = factor x sum. `first` and `dst` are at this thread's channels, which are outside the tensor if not `inside`.
template <int kWidth, class Team, class T>
MFS_DEVICE void sum_rectangle(const Team& team, const T* first, const Rectangle& r, bool inside, float factor, float* dst) {
  float sum[kWidth] = {};
  if (inside) add_pixels<kWidth>(first, r, static_cast<int>(team.lane), static_cast<int>(team.lanes), sum);
  float* own = team.memory + team.lane * team.columns + team.column;
  for (unsigned half = team.lanes / 2; half > 0; half /= 2) {
    if (team.lane >= half && team.lane < 2 * half) {
      MFS_UNROLL
      for (int c = 0; c < kWidth; ++c) own[c * kSumThreads] = sum[c];
    }
    team.meet();
    if (team.lane < half) {
      MFS_UNROLL
      for (int c = 0; c < kWidth; ++c) sum[c] += own[c * kSumThreads + half * team.columns];
    }
  }
  if (team.lane != 0 || !inside) return;
  MFS_UNROLL
  for (int c = 0; c < kWidth; ++c) sum[c] *= factor;
  store_channels<kWidth>(dst, sum);
}

// Block i has chunk i % chunks of rectangle i / chunks; none of the rectangles has more than most_pixels.
inline simt::LaunchShape sum_blocks(const char* name, std::int64_t blocks, unsigned columns, int most_pixels, int width) {
  simt::LaunchShape shape;
  shape.name = name;
  shape.grid = {static_cast<unsigned>(blocks), 1, 1};
  const int whole_warp = 32 / static_cast<int>(columns);
  shape.block = {columns, threads_of_block(std::max(most_pixels, whole_warp), kSumThreads / columns), 1};
  shape.shared_bytes = kSumThreads * static_cast<std::size_t>(width) * sizeof(float);
  return shape;
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
