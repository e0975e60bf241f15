// The stem on Hopper's tensor cores (sm_90a): two neighbouring pixels of the photo are one of eight channels, 16 bytes. A
// window is 7 rows of 4 such pairs, the next pixel's window begins one pair further on: the tensor cores read all windows from
// the photo's pairs as they lie in shared memory, without a copy for every tap.
//
// A tile is kStemPixels neighbouring pixels of the convolution in as many rows as `rows` rows of pooled pixels need, of all of
// which a block computes kColumns output channels, 64 pixels in each of its two warpgroups. Sums stay in registers until a
// pooled row is complete; greatest in a column first, then, through shared memory, among neighbours.
#pragma once

#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/async_copy.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/wgmma.h"
#include "kernels/cuda/stem_hopper_plan.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

inline constexpr int kStemThreads = 256, kStemPixels = 128;
inline constexpr int kStemTaps = 7, kStemPairs = 4;         // rows of a window, and pairs in a row of it
inline constexpr int kStemChunks = kStemTaps * kStemPairs;  // of 16 bytes of K
inline constexpr int kStemPatchPairs = kStemPixels + kStemPairs, kStemPatchRows = 4 * kStemMostRows + 7;
inline constexpr int kStemMostColumns = 128, kStemPooledColumns = 64;  // of a block: of all blocks, with 3x3 pooling

// Shared memory: filters, two patches of the photo, two stages of results, the last pixels of the tile to the left.
inline constexpr int kStemPatchBytes = kStemPatchRows * kStemPatchPairs * 16;
inline constexpr int kStemStageBytes = kStemPixels * kStemMostColumns * 2;
inline constexpr int kStemPatchAt = kStemChunks * kStemMostColumns * 16;
inline constexpr int kStemStageAt = kStemPatchAt + 2 * kStemPatchBytes;
inline constexpr int kStemLeftAt = kStemStageAt + 2 * kStemStageBytes;
inline constexpr int kStemSharedBytes = kStemLeftAt + 2 * kStemMostRows * kStemPooledColumns * 2;

struct StemHopperPart {
  void* dst;
  const unsigned char* weights;  // of every chunk: kStemChunks x columns x 16 bytes
  const float* bias;             // for whole chunks
  int dst_pitch, channels, pool, columns, chunks;
};
struct StemHopperParams {
  const unsigned char* src;
  StemHopperPart parts[kMostStemParts];
  int images, h, w;                   // of the photo; w in pairs
  int out_h, out_w;                   // of pooled pixels
  int rows, row_tiles, tiles, slots;  // row_tiles: of an image; tiles: side by side
};

// A thread's view of its block's work on one chunk of a part's channels.
template <class T, int kColumns, int kPool>
struct StemBlock {
  static constexpr int kVectors = kColumns / 8;
  const StemHopperParams& p;
  const StemHopperPart& part;
  const int chunk, slot;  // of the part; of the chunk's blocks
  unsigned char* const memory = simt::shared_memory();
  const int thread = static_cast<int>(simt::thread_index().x), group = thread / 128, lane = thread % 32;

  struct Tile {
    int image, row, x;  // of pooled pixels; of the convolution's
    int buffer;
    MFS_DEVICE int top() const { return 2 * row - (kPool == 3); }  // first row of the convolution
  };
  MFS_DEVICE Tile tile(int number) const {
    const int rows = slot + number / p.tiles * p.slots;
    return {rows / p.row_tiles, rows % p.row_tiles * p.rows, number % p.tiles * kStemPixels, number % 2};
  }
  MFS_DEVICE int tiles() const {
    const int all = p.images * p.row_tiles;
    return slot < all ? (all - slot + p.slots - 1) / p.slots * p.tiles : 0;
  }
  MFS_DEVICE int conv_rows() const { return 2 * p.rows + (kPool == 3); }

  MFS_DEVICE void load_weights() const {
    const unsigned char* const from = part.weights + chunk * (kStemChunks * kColumns * 16);
    for (int i = thread; i < kStemChunks * kColumns; i += kStemThreads) simt::copy_async<16>(memory + i * 16, from + i * 16);
  }

  MFS_DEVICE unsigned char* patch(int buffer) const { return memory + kStemPatchAt + buffer * kStemPatchBytes; }
  // The pairs that a tile's windows lie on, zeros outside of the image.
  MFS_DEVICE void load_patch(const Tile& at) const {
    const int first_row = 2 * at.top() - 3, first_pair = at.x - kStemPairs / 2;
    const int count = (2 * conv_rows() + kStemTaps - 2) * kStemPatchPairs;
    for (int i = thread; i < count; i += kStemThreads) {
      const int y = first_row + i / kStemPatchPairs, pair = first_pair + i % kStemPatchPairs;
      const bool inside = y >= 0 && y < p.h && pair >= 0 && pair < p.w;
      const int64_t from = inside ? (int64_t{at.image} * p.h + y) * p.w + pair : 0;
      simt::copy_async<16>(patch(at.buffer) + i * 16, p.src + from * 16, inside ? 16 : 0);
    }
  }

  // A row of the convolution, without bias.
  MFS_DEVICE void multiply(float (&sum)[kColumns / 2], const Tile& at, int row) const {
    const uint64_t a = simt::matrix_descriptor(patch(at.buffer) + (2 * row * kStemPatchPairs + 64 * group) * 16,
                                               simt::Swizzle::kNone, 8 * 16, 16);
    const uint64_t b = simt::matrix_descriptor(memory, simt::Swizzle::kNone, 8 * 16, kColumns * 16);
    simt::wgmma_fence();
    MFS_UNROLL
    for (int i = 0; i < kStemChunks / 2; ++i) {
      const int tap_row = i / 2, pair = i % 2 * 2;
      simt::wgmma<T, kColumns>(sum, a + tap_row * kStemPatchPairs + pair, b + i * 2 * kColumns, i > 0);
    }
    simt::wgmma_commit();
    simt::wgmma_wait<0>();
  }

  static MFS_DEVICE float greater(float best, float v) { return v > best || v != v ? v : best; }  // a NaN wins

  MFS_DEVICE T* stage(int number) const { return reinterpret_cast<T*>(memory + kStemStageAt + number * kStemStageBytes); }
  // 8 channels of a pixel, spread over the banks.
  static MFS_DEVICE T* vector(T* stage, int pixel, int i) { return stage + pixel * kColumns + ((i ^ (pixel & 7)) * 8); }
  MFS_DEVICE T* left(int buffer, int row) const {
    return reinterpret_cast<T*>(memory + kStemLeftAt) + (buffer * kStemMostRows + row) * kStemPooledColumns;
  }

  MFS_DEVICE uint32_t finished(const float* best, int channel) const {
    const float* const bias = part.bias + chunk * kColumns + channel;
    float v[2];
    MFS_UNROLL
    for (int e = 0; e < 2; ++e) {
      v[e] = best[e] + simt::load_constant(bias + e);
      v[e] = v[e] > 0 || v[e] != v[e] ? v[e] : 0;
    }
    return packed<T>(v[0], v[1]);
  }

  // Greatest values of the columns, bias and ReLU applied, to the stage: 16 pixels of each warp.
  MFS_DEVICE void write_stage(const float (&best)[kColumns / 2], T* to) const {
    const int pixel = thread / 32 * 16 + lane % 16;
    MFS_UNROLL
    for (int j = 0; j < kVectors; j += 2) {
      uint32_t r[4];
      MFS_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int column = 8 * (j + i / 2);
        r[i] = finished(best + column / 2 + 2 * (i % 2), column + lane % 4 * 2);
      }
      simt::store_matrix<4>(vector(to, pixel, j + lane / 16), r);
    }
  }

  // Pooled row `row` of the tile. With 2x2 pooling every warpgroup has its own pixels; with 3x3 the first one of a tile needs
  // the tile before, which this block had just before.
  MFS_DEVICE void emit(const float (&best)[kColumns / 2], const Tile& at, int row) const {
    T* const from = stage(row % 2);
    write_stage(best, from);
    if (kPool == 2) {
      simt::sync_named(1 + static_cast<unsigned>(group), 128);
    } else {
      simt::sync_block();
    }
    constexpr int kThreads = kPool == 2 ? 128 : kStemThreads, kPixels = kThreads / 4;  // pooled
    const int first = kPool == 2 ? group * kPixels : 0, channels = part.channels - chunk * kColumns;
    T* const dst = static_cast<T*>(part.dst) +
                   ((int64_t{at.image} * p.out_h + at.row + row) * p.out_w + at.x / 2) * part.dst_pitch + chunk * kColumns;
    for (int i = thread % kThreads; i < kPixels * kVectors; i += kThreads) {
      const int x = first + i / kVectors, channel = i % kVectors;
      if (at.x / 2 + x >= p.out_w || channel * 8 >= channels) continue;
      float v[8], other[8];
      load_channels<8>(vector(from, 2 * x, channel), v);
      load_channels<8>(vector(from, 2 * x + 1, channel), other);
      MFS_UNROLL
      for (int e = 0; e < 8; ++e) v[e] = greater(v[e], other[e]);
      if (kPool == 3 && at.x + x > 0) {
        load_channels<8>(x > 0 ? vector(from, 2 * x - 1, channel) : left(at.buffer ^ 1, row) + channel * 8, other);
        MFS_UNROLL
        for (int e = 0; e < 8; ++e) v[e] = greater(v[e], other[e]);
      }
      store_channels<8>(dst + int64_t{x} * part.dst_pitch + channel * 8, v);
    }
    if (kPool == 3 && thread < kVectors) {
      float v[8];
      load_channels<8>(vector(from, kStemPixels - 1, thread), v);
      store_channels<8>(left(at.buffer, row) + thread * 8, v);
    }
  }

  MFS_DEVICE void compute(const Tile& at) const {
    float sum[kColumns / 2], best[kColumns / 2];
    MFS_UNROLL
    for (int i = 0; i < kColumns / 2; ++i) best[i] = -INFINITY;
    for (int row = 0; row < conv_rows() && at.top() + row < 2 * p.out_h; ++row) {
      if (at.top() + row < 0) continue;  // padding
      multiply(sum, at, row);
      MFS_UNROLL
      for (int i = 0; i < kColumns / 2; ++i) best[i] = greater(best[i], sum[i]);
      // The last row of a window; of 3x3 pooling's it is the next one's first.
      if (row % 2 == (kPool == 2) && row > 0) {
        emit(best, at, (row - 1) / 2);
        MFS_UNROLL
        for (int i = 0; i < kColumns / 2; ++i) best[i] = kPool == 2 ? -INFINITY : sum[i];
      }
    }
  }

  MFS_DEVICE void run() const {
    load_weights();
    simt::grid_dependency_wait();
    const int count = tiles();
    if (count > 0) load_patch(tile(0));
    simt::copy_async_commit();
    for (int number = 0; number < count; ++number) {
      simt::copy_async_wait<0>();
      simt::fence_proxy_async();
      simt::sync_block();
      if (number + 1 < count) load_patch(tile(number + 1));
      simt::copy_async_commit();
      compute(tile(number));
    }
  }
};

template <class T>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kStemThreads, 1) stem_hopper_kernel(const MFS_GRID_CONSTANT StemHopperParams p) {
  int chunk = static_cast<int>(simt::block_index().x) / p.slots;
  const int slot = static_cast<int>(simt::block_index().x) % p.slots, number = chunk < p.parts[0].chunks ? 0 : 1;
  if (number == 1) chunk -= p.parts[0].chunks;
  const StemHopperPart& part = p.parts[number];
  if (part.pool == 3) {
    StemBlock<T, kStemPooledColumns, 3>{p, part, chunk, slot}.run();
  } else if (part.columns == kStemMostColumns) {
    StemBlock<T, kStemMostColumns, 2>{p, part, chunk, slot}.run();
  } else {
    StemBlock<T, 64, 2>{p, part, chunk, slot}.run();
  }
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
