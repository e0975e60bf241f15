// The Hopper family's panels, 64 pixels by kPanel channels of a tile for each warpgroup, and the sums over a tile's pixels that
// squeeze_excite starts from: of the values as they are stored, always in the same order.
#pragma once

#include "kernels/cuda/conv_hopper_block.h"
#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/shuffle.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile>
struct HopperSums : HopperBlock<Tile> {
  using Block = HopperBlock<Tile>;
  using Block::group, Block::lane, Block::memory, Block::p, Block::split, Block::thread;
  using Place = typename Block::Place;
  using Wide = WideElement<T>;
  static constexpr int kPanel = Tile::kPanel;

  // 16 bytes of a pixel's kRow, as TMA's swizzle of that width places them.
  template <int kRow>
  static MFS_DEVICE unsigned char* chunk(unsigned char* panel, int pixel, int i) {
    static_assert(kRow == 128 || kRow == 64 || kRow == 32);
    return panel + pixel * kRow + ((i ^ (pixel / (128 / kRow) & (kRow / 16 - 1))) << 4);
  }
  // What load_matrix and store_matrix take from a thread for the panel's 8x8 pieces of 16 pixels and chunks j and j + 1.
  MFS_DEVICE unsigned char* pieces(unsigned char* panel, int j) const {
    return chunk<kPanel * 2>(panel, thread % 128 / 32 * 16 + lane % 16, j + lane / 16);
  }

  struct PanelPlace {
    int c[4];
  };
  MFS_DEVICE PanelPlace panel_place(const Place& at, int panel) const {
    const int y = p.tile_h > 1 ? at.y + p.tile_h / 2 * group : at.y, x = p.tile_h > 1 ? at.x : at.x + Tile::kGroupRows * group;
    return {{at.column + split * Tile::kOwnColumns + panel * kPanel, x, y, at.image}};
  }

  // The thread's two pixels, as the pieces have them.
  struct Pixel {
    int y, x;
    bool inside;  // the image
  };
  MFS_DEVICE Pixel own_pixel(const PanelPlace& panel, int i) const {
    const int pixel = thread % 128 / 32 * 16 + lane / 4 + 8 * i;
    const int y = panel.c[2] + (pixel >> p.tile_w_bits), x = panel.c[1] + (pixel & (p.tile_w - 1));
    return {y, x, panel.c[3] < p.images && y < p.out_h && x < p.out_w};
  }

  // Of a panel of which this warp has written its own pixels. The two warpgroups wait for each other, so that a tile has one
  // sum and not two; they multiply the same stages, so neither is far ahead.
  MFS_DEVICE void sum_up(unsigned char* panel, const PanelPlace& place, const Place& at) const {
    // [2 j + e] of channel 8 j + 2 (lane % 4) + e
    float sums[kPanel / 4] = {};
    const bool inside[2] = {own_pixel(place, 0).inside, own_pixel(place, 1).inside};
    simt::sync_warp();
    MFS_UNROLL
    for (int j = 0; j < kPanel / 8; j += 2) {
      uint32_t r[4];
      simt::load_matrix<4>(r, pieces(panel, j));
      MFS_UNROLL
      for (int i = 0; i < 4; ++i) {
        sums[2 * (j + i / 2)] += inside[i % 2] ? widened<Wide>(r[i] & 0xffff) : 0.0f;
        sums[2 * (j + i / 2) + 1] += inside[i % 2] ? widened<Wide>(r[i] >> 16) : 0.0f;
      }
    }
    // Eight threads of a warp have sums of the same channels.
    int first = halve<4, kPanel / 8>(sums);
    first += halve<8, kPanel / 16>(sums);
    first += halve<16, kPanel / 32>(sums);
    float* const of_warps = reinterpret_cast<float*>(memory + Tile::kSumsAt);
    MFS_UNROLL
    for (int i = 0; i < kPanel / 32; ++i) {
      const int sum = first + i;
      simt::store(of_warps + thread / 32 * kPanel + sum / 2 * 8 + lane % 4 * 2 + sum % 2, sums[i]);
    }
    meet_consumers();
    const int channel = place.c[0] + thread;
    if (thread < kPanel && channel < p.columns && place.c[3] < p.images) {
      float sum = 0;
      MFS_UNROLL
      for (int warp = 0; warp < Tile::kConsumers * 4; ++warp) sum += simt::load(of_warps + warp * kPanel + thread);
      const int tile_h_bits = 7 - p.tile_w_bits;
      static_assert(kHopperRows == 1 << 7);
      const int part = (at.image * p.tiles_y + (at.y >> tile_h_bits)) * p.tiles_x + (at.x >> p.tile_w_bits);
      simt::store(p.sums + int64_t{part} * p.columns + channel, sum);
    }
    meet_consumers();
  }

  static MFS_DEVICE void meet_consumers() { simt::sync_named(1 + Tile::kConsumers, Tile::kConsumers * 128); }

 private:
  // Threads that differ in a bit exchange halves of their sums, and keep those of one half. Returns its first one.
  template <unsigned kBit, int kHalf>
  MFS_DEVICE int halve(float (&sums)[kPanel / 4]) const {
    const bool upper = (thread & kBit) != 0;
    MFS_UNROLL
    for (int i = 0; i < kHalf; ++i) {
      const float low = sums[i], high = sums[kHalf + i];
      sums[i] = (upper ? high : low) + simt::shuffle_xor(upper ? low : high, kBit);
    }
    return upper ? kHalf : 0;
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
