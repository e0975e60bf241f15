// Convolution on tensor cores, portable family (sm_80 and up): implicit GEMM with cp.async and mma.sync.
//
// Rows are output pixels, columns output channels, K runs over the filter's taps and the source's channels, both padded: K is a
// sequence of chunks of 8 channels (16 bytes), first those of every tap, then those of the joined source. A tile of
// kRows x kColumns is worked on by warps of kWarpRows x kWarpColumns, 64 of K at a time, kStages - 1 steps ahead.
#pragma once

#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/async_copy.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/mma.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

inline constexpr int kChunk = 8;       // channels
inline constexpr int kStepChunks = 8;  // of K in one step: rows of 128 bytes in shared memory

// As the kernel sees the problem; a stem's pixel pairs have become pixels (see geometry_of() in conv.cu). Pitches in elements.
template <class T>
struct ConvMmaParams {
  const T *src, *joined, *weights, *residual;
  const float* bias;
  T* dst;
  float* partial;  // of split K: splits x rows x columns, else null
  int in_h, in_w, out_h, out_w, rows, columns;
  int kernel_h, kernel_w, stride_h, stride_w, dilation, pad_h, pad_w;
  int channels, joined_channels, joined_h, joined_w, joined_stride;
  int src_pitch, joined_pitch, residual_pitch, dst_pitch;
  int steps, steps_per_split, splits, column_tiles;
  bool relu, vector_store;
};

template <int kRows_, int kColumns_, int kWarpRows_, int kWarpColumns_, int kStages_, int kBlocksPerSm_>
struct ConvTile {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kWarpRows = kWarpRows_, kWarpColumns = kWarpColumns_;
  static constexpr int kStages = kStages_, kBlocksPerSm = kBlocksPerSm_;
  static constexpr int kWarpsAcross = kColumns / kWarpColumns, kWarps = kRows / kWarpRows * kWarpsAcross;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kStageBytes = (kRows + kColumns) * kStepChunks * 16;
  static constexpr int kEpiloguePitch = kWarpColumns + 8;  // floats: pairs of a fragment fall into different banks
  static constexpr int kEpilogueBytes = kWarps * kWarpRows * kEpiloguePitch * 4;
  static constexpr int kPipelineBytes = kStages * kStageBytes > kEpilogueBytes ? kStages* kStageBytes : kEpilogueBytes;
  static constexpr int kSharedBytes = kPipelineBytes + kRows * 16;
};

// Those of conv_plan.h, in its order.
using ConvTile128x128 = ConvTile<128, 128, 64, 64, 3, 2>;
using ConvTile128x64 = ConvTile<128, 64, 64, 32, 3, 2>;
using ConvTile64x64 = ConvTile<64, 64, 32, 32, 3, 3>;

// Where an output pixel's window begins in the source, and its pixel of the joined source.
struct alignas(16) ConvRow {
  int pixel;  // of the window's corner, counted through all images; may lie outside
  int joined;
  short y, x;
  int unused;
};

// Position of this thread's chunk in K, moved along step by step.
struct ConvCursor {
  int chunk, ky, kx;  // ky == kernel_h: in the joined source

  template <class T>
  MFS_DEVICE void start(const ConvMmaParams<T>& p, int k_chunk, int tap_chunks) {
    const int tap = k_chunk / tap_chunks, taps = p.kernel_h * p.kernel_w;
    ky = tap < taps ? tap / p.kernel_w : p.kernel_h;
    kx = tap < taps ? tap % p.kernel_w : 0;
    chunk = tap < taps ? k_chunk % tap_chunks : k_chunk - taps * tap_chunks;
  }
  template <class T>
  MFS_DEVICE void advance(const ConvMmaParams<T>& p, int tap_chunks) {
    chunk += kStepChunks;
    while (ky < p.kernel_h && chunk >= tap_chunks) {
      chunk -= tap_chunks;
      if (++kx == p.kernel_w) kx = 0, ++ky;
    }
  }
};

// 128-byte rows, their 16-byte chunks permuted so that eight rows of one chunk column fall into different banks.
MFS_DEVICE unsigned char* swizzled(unsigned char* tile, int row, int chunk) {
  return tile + row * 128 + ((chunk ^ (row & 7)) << 4);
}

// Eight channels from any address; `count` of them exist.
template <class T>
MFS_DEVICE void copy_unaligned(unsigned char* to, const T* from, int count) {
  uint32_t words[4] = {};
  MFS_UNROLL
  for (int i = 0; i < kChunk; ++i) {
    const uint32_t bits = i < count ? simt::bits_as<uint16_t>(simt::load(from + i)) : uint16_t{0};
    words[i / 2] |= bits << 16 * (i % 2);
  }
  simt::store(reinterpret_cast<simt::U32x4*>(to), simt::U32x4{words[0], words[1], words[2], words[3]});
}

// Bias, residual and ReLU for `width` (at most 8) channels of one pixel, then one rounding.
template <class T>
MFS_DEVICE void conv_finish(const ConvMmaParams<T>& p, const float* sums, int row, int column, int width) {
  T* const to = p.dst + int64_t{row} * p.dst_pitch + column;
  const T* const residual = p.residual != nullptr ? p.residual + int64_t{row} * p.residual_pitch + column : nullptr;
  float v[kChunk], r[kChunk] = {};
  if (p.vector_store) {
    if (residual != nullptr) load_channels<kChunk>(residual, r);
    MFS_UNROLL
    for (int c = 0; c < kChunk; ++c) {
      v[c] = sums[c] + simt::load_constant(p.bias + column + c) + r[c];
      if (p.relu) v[c] = v[c] > 0 || v[c] != v[c] ? v[c] : 0;
    }
    store_channels<kChunk>(to, v);
    return;
  }
  MFS_UNROLL
  for (int c = 0; c < kChunk; ++c) {  // not up to width: `sums` stays in registers
    if (c >= width) break;
    float value = sums[c] + simt::load_constant(p.bias + column + c);
    if (residual != nullptr) value += simt::to_float(simt::load(residual + c));
    if (p.relu) value = value > 0 || value != value ? value : 0;
    simt::store(to + c, rounded<T>(value));
  }
}

// Two neighbouring sums to shared memory: 8 bytes a thread, no bank twice in a half-warp.
MFS_DEVICE void conv_stage_pair(float* to, float first, float second) {
  simt::store(reinterpret_cast<simt::U32x2*>(to), simt::U32x2{simt::bits_as<uint32_t>(first), simt::bits_as<uint32_t>(second)});
}

// Eight sums from there. Of lanes 128 bytes apart one begins with its second half: no bank twice in a quarter-warp.
MFS_DEVICE void conv_unstage(const float* from, bool second_first, float (&v)[kChunk]) {
  const simt::F32x4* const halves = reinterpret_cast<const simt::F32x4*>(from);
  const simt::F32x4 a = simt::load(halves + (second_first ? 1 : 0)), b = simt::load(halves + (second_first ? 0 : 1));
  const simt::F32x4 low = second_first ? b : a, high = second_first ? a : b;
  v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w;
  v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
}

template <class T>
MFS_DEVICE void conv_store_partial(const ConvMmaParams<T>& p, const float* sums, float* to, int width) {
  if (p.vector_store) {
    simt::store(reinterpret_cast<simt::F32x4*>(to), simt::F32x4{sums[0], sums[1], sums[2], sums[3]});
    simt::store(reinterpret_cast<simt::F32x4*>(to) + 1, simt::F32x4{sums[4], sums[5], sums[6], sums[7]});
  } else {
    MFS_UNROLL
    for (int c = 0; c < kChunk; ++c)
      if (c < width) simt::store(to + c, sums[c]);
  }
}

template <class T, class Tile, bool kAligned>
struct ConvMma {
  using Params = ConvMmaParams<T>;
  static constexpr int kRowsPerPass = Tile::kThreads / kStepChunks;  // eight threads bring one row of a step
  static constexpr int kFragmentRows = Tile::kWarpRows / 16, kFragmentColumns = Tile::kWarpColumns / 8;
  static_assert(Tile::kRows % kRowsPerPass == 0 && Tile::kColumns % kRowsPerPass == 0 && kFragmentColumns % 2 == 0);

  const Params& p;
  unsigned char* const memory = simt::shared_memory();
  ConvRow* const rows = reinterpret_cast<ConvRow*>(memory + Tile::kPipelineBytes);
  const int thread = static_cast<int>(simt::thread_index().x), lane = thread % 32, warp = thread / 32;
  const int my_chunk = thread % kStepChunks, my_row = thread / kStepChunks;
  const int tile = static_cast<int>(simt::block_index().x);
  const int first_row = tile / p.column_tiles * Tile::kRows, first_column = tile % p.column_tiles * Tile::kColumns;
  const int tap_chunks = (p.channels + kChunk - 1) / kChunk;
  float sum[kFragmentRows][kFragmentColumns][4] = {};

  MFS_DEVICE void locate_rows() {
    for (int r = thread; r < Tile::kRows; r += Tile::kThreads) {
      const int m = first_row + r, x = m % p.out_w, y = m / p.out_w % p.out_h, image = m / p.out_w / p.out_h;
      ConvRow row{};
      const int in_y = y * p.stride_h - p.pad_h, in_x = x * p.stride_w - p.pad_w;
      row.pixel = (image * p.in_h + in_y) * p.in_w + in_x;
      row.joined = (image * p.joined_h + y * p.joined_stride) * p.joined_w + x * p.joined_stride;
      row.y = static_cast<short>(m < p.rows ? in_y : -0x7fff);  // rows past the end: outside for every tap
      row.x = static_cast<short>(in_x);
      if (m >= p.rows) row.joined = -1;
      rows[r] = row;
    }
  }

  MFS_DEVICE void load_step(const ConvCursor& at, int step, int stage) {
    unsigned char* const a = memory + stage * Tile::kStageBytes;
    unsigned char* const b = a + Tile::kRows * 128;
    const bool of_joined = at.ky == p.kernel_h;
    const int channel = at.chunk * kChunk, left = (of_joined ? p.joined_channels : p.channels) - channel;
    const int dy = at.ky * p.dilation, dx = at.kx * p.dilation, tap_pixel = dy * p.in_w + dx;
    const T* const source = (of_joined ? p.joined : p.src) + channel;
    const int pitch = of_joined ? p.joined_pitch : p.src_pitch;
    const unsigned in_h = left > 0 ? static_cast<unsigned>(p.in_h) : 0, in_w = static_cast<unsigned>(p.in_w);
    MFS_UNROLL
    for (int i = 0; i < Tile::kRows / kRowsPerPass; ++i) {
      const int r = my_row + i * kRowsPerPass;
      const ConvRow row = rows[r];
      const bool in_window = (static_cast<unsigned>(row.y + dy) < in_h) & (static_cast<unsigned>(row.x + dx) < in_w);
      const bool inside = of_joined ? (row.joined >= 0) & (left > 0) : in_window;
      const int pixel = of_joined ? row.joined : row.pixel + tap_pixel;
      const T* const from = inside ? source + int64_t{pixel} * pitch : p.src;
      if constexpr (kAligned) {
        simt::copy_async<16>(swizzled(a, r, my_chunk), from, inside ? 16u : 0u);
      } else {
        copy_unaligned(swizzled(a, r, my_chunk), from, inside ? left : 0);
      }
    }
    const int64_t row_length = int64_t{p.steps} * kStepChunks * kChunk;
    const T* const filters =
        p.weights + (first_column + my_row) * row_length + (int64_t{step} * kStepChunks + my_chunk) * kChunk;
    const int columns_left = p.columns - first_column - my_row;
    MFS_UNROLL
    for (int i = 0; i < Tile::kColumns / kRowsPerPass; ++i) {
      const int c = my_row + i * kRowsPerPass;
      const bool inside = i * kRowsPerPass < columns_left;
      const T* const from = inside ? filters + i * kRowsPerPass * row_length : p.weights;
      simt::copy_async<16>(swizzled(b, c, my_chunk), from, inside ? 16u : 0u);
    }
  }

  MFS_DEVICE void multiply_step(int stage) {
    unsigned char* const a = memory + stage * Tile::kStageBytes + warp / Tile::kWarpsAcross * Tile::kWarpRows * 128;
    unsigned char* const b =
        memory + stage * Tile::kStageBytes + (Tile::kRows + warp % Tile::kWarpsAcross * Tile::kWarpColumns) * 128;
    MFS_UNROLL
    for (int k = 0; k < kStepChunks; k += 2) {
      uint32_t af[kFragmentRows][4], bf[kFragmentColumns][2];
      MFS_UNROLL
      for (int i = 0; i < kFragmentRows; ++i) simt::load_matrix<4>(af[i], swizzled(a, 16 * i + lane % 16, k + lane / 16));
      MFS_UNROLL
      for (int j = 0; j < kFragmentColumns; j += 2) {
        uint32_t pair[4];
        simt::load_matrix<4>(pair, swizzled(b, 8 * j + lane % 8 + lane / 16 * 8, k + lane / 8 % 2));
        bf[j][0] = pair[0], bf[j][1] = pair[1], bf[j + 1][0] = pair[2], bf[j + 1][1] = pair[3];
      }
      MFS_UNROLL
      for (int i = 0; i < kFragmentRows; ++i) {
        MFS_UNROLL
        for (int j = 0; j < kFragmentColumns; ++j) simt::mma<T>(sum[i][j], af[i], bf[j]);
      }
    }
  }

  MFS_DEVICE void run() {
    locate_rows();
    simt::sync_block();
    simt::grid_dependency_wait();
    const int first = static_cast<int>(simt::block_index().y) * p.steps_per_split;
    const int count = p.steps - first < p.steps_per_split ? p.steps - first : p.steps_per_split;
    ConvCursor at;
    at.start(p, first * kStepChunks + my_chunk, tap_chunks);
    for (int s = 0; s < Tile::kStages - 1; ++s) {
      if (s < count) load_step(at, first + s, s), at.advance(p, tap_chunks);
      simt::copy_async_commit();
    }
    for (int s = 0; s < count; ++s) {
      simt::copy_async_wait<Tile::kStages - 2>();
      simt::sync_block();  // step s has arrived for everyone, and nobody reads step s - 1 any more
      const int next = s + Tile::kStages - 1;
      if (next < count) load_step(at, first + next, next % Tile::kStages), at.advance(p, tap_chunks);
      simt::copy_async_commit();
      multiply_step(s % Tile::kStages);
    }
    simt::copy_async_wait<0>();
    simt::sync_block();
    write();
  }

  // Sums go through shared memory, each warp's through its own part, so that eight channels of a pixel leave at once.
  MFS_DEVICE void write() {
    constexpr int kPitch = Tile::kEpiloguePitch, kVectors = Tile::kWarpColumns / kChunk;
    float* const staged = reinterpret_cast<float*>(memory) + warp * Tile::kWarpRows * kPitch;
    MFS_UNROLL
    for (int i = 0; i < kFragmentRows; ++i) {
      MFS_UNROLL
      for (int j = 0; j < kFragmentColumns; ++j) {
        float* const at = staged + (16 * i + lane / 4) * kPitch + 8 * j + lane % 4 * 2;
        conv_stage_pair(at, sum[i][j][0], sum[i][j][1]);
        conv_stage_pair(at + 8 * kPitch, sum[i][j][2], sum[i][j][3]);
      }
    }
    simt::sync_warp();
    const int row0 = first_row + warp / Tile::kWarpsAcross * Tile::kWarpRows;
    const int column0 = first_column + warp % Tile::kWarpsAcross * Tile::kWarpColumns;
    for (int i = lane; i < Tile::kWarpRows * kVectors; i += 32) {
      const int row = row0 + i / kVectors, column = column0 + i % kVectors * kChunk;
      if (row >= p.rows || column >= p.columns) continue;
      float v[kChunk];
      conv_unstage(staged + i / kVectors * kPitch + i % kVectors * kChunk, i % kVectors & 4, v);
      const int width = p.columns - column < kChunk ? p.columns - column : kChunk;
      if (p.partial != nullptr) {
        conv_store_partial(p, v, p.partial + (int64_t{simt::block_index().y} * p.rows + row) * p.columns + column, width);
      } else {
        conv_finish(p, v, row, column, width);
      }
    }
  }
};

template <class T, class Tile, bool kAligned>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(Tile::kThreads, Tile::kBlocksPerSm) conv_mma_kernel(ConvMmaParams<T> p) {
  ConvMma<T, Tile, kAligned>{p}.run();
}

// The end of a split sum: one thread for up to 8 channels of a pixel adds the parts, always in the same order.
template <class T>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256) conv_sum_kernel(ConvMmaParams<T> p) {
  simt::grid_dependency_wait();
  const int vectors = (p.columns + kChunk - 1) / kChunk;
  const uint32_t item = global_thread();
  const int row = static_cast<int>(item / vectors), column = static_cast<int>(item % vectors) * kChunk;
  if (row >= p.rows) return;
  const int width = p.columns - column < kChunk ? p.columns - column : kChunk;
  float sums[kChunk] = {};
  for (int split = 0; split < p.splits; ++split) {
    const float* const from = p.partial + (int64_t{split} * p.rows + row) * p.columns + column;
    if (p.vector_store) {
      float part[kChunk];
      conv_unstage(from, false, part);
      MFS_UNROLL
      for (int c = 0; c < kChunk; ++c) sums[c] += part[c];
    } else {
      MFS_UNROLL
      for (int c = 0; c < kChunk; ++c)
        if (c < width) sums[c] += simt::load(from + c);
    }
  }
  conv_finish(p, sums, row, column, width);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
