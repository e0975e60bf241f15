// The end of a tile in the Hopper family: bias, residual and ReLU on a panel of 64 pixels by kPanel channels at a time, which
// TMA brings and takes away.
#pragma once

#include "kernels/cuda/conv_hopper_block.h"
#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/tma.h"
#include "kernels/cuda/simt/tma_store.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile>
struct HopperFinish : HopperBlock<Tile> {
  using Block = HopperBlock<Tile>;
  using Block::barrier, Block::group, Block::lane, Block::meet_group, Block::memory, Block::p, Block::split, Block::thread;
  using Place = typename Block::Place;
  static constexpr int kPanel = Tile::kPanel, kOwnSums = Tile::kOwnColumns / 2;
  using Buffers = HopperRing<Tile::kBuffers>;

  MFS_DEVICE unsigned char* buffer(int i) const {
    return memory + Tile::kPanelsAt + (group * Tile::kBuffers + i) * Tile::kPanelBytes;
  }
  // Eight channels of a pixel, as TMA's swizzle places them.
  MFS_DEVICE unsigned char* chunk(unsigned char* panel, int pixel, int i) const {
    return panel + pixel * kPanel * 2 + ((kPanel == 64 ? i ^ (pixel & 7) : i ^ (pixel >> 1 & 3)) << 4);
  }
  struct PanelPlace {
    int c[4];
  };
  MFS_DEVICE PanelPlace panel_place(const Place& at, int panel) const {
    const int y = p.tile_h > 1 ? at.y + p.tile_h / 2 * group : at.y, x = p.tile_h > 1 ? at.x : at.x + Tile::kGroupRows * group;
    return {{at.column + split * Tile::kOwnColumns + panel * kPanel, x, y, at.image}};
  }
  MFS_DEVICE void load_residual(const Place& at, int panel, int i) {
    uint64_t* const signal = barrier(Tile::kResidual, group * Tile::kBuffers + i);
    simt::mbarrier_arrive_expect(signal, Tile::kPanelBytes);
    simt::tma_load(buffer(i), p.residual, signal, panel_place(at, panel).c);
  }

  // While the tile is being summed: as many panels of the residual as there are buffers.
  MFS_DEVICE void load_residual_ahead(const Place& at, Buffers ring) {
    if (!p.has_residual || thread % 128 != 0) return;
    simt::tma_store_wait_read<Tile::kBuffers - Tile::kAhead>();
    for (int panel = 0; panel < Tile::kAhead; ++panel, ring.advance()) load_residual(at, panel, ring.at);
  }

  // Bias, residual and ReLU, one rounding: two neighbouring channels, packed.
  MFS_DEVICE uint32_t finish(const float* sum, const float* bias, uint32_t residual) const {
    float v[2];
    MFS_UNROLL
    for (int e = 0; e < 2; ++e) {
      v[e] = sum[e] + bias[e] + (p.has_residual ? widened<T>(residual >> 16 * e & 0xffff) : 0);
      if (p.relu) v[e] = v[e] > 0 || v[e] != v[e] ? v[e] : 0;
    }
    return packed<T>(v[0], v[1]);
  }

  MFS_DEVICE void write(const float (&sum)[kOwnSums], const Place& at, Buffers& ring) {
    const int pixel = thread % 128 / 32 * 16 + lane % 16;
    MFS_UNROLL
    for (int panel = 0; panel < Tile::kPanels; ++panel) {
      unsigned char* const staged = buffer(ring.at);
      const float* const bias = p.bias + panel_place(at, panel).c[0] + lane % 4 * 2;
      if (p.has_residual) {
        simt::mbarrier_wait(barrier(Tile::kResidual, group * Tile::kBuffers + ring.at), ring.parity);
      } else {
        if (thread % 128 == 0) simt::tma_store_wait_read<Tile::kBuffers - 1>();
        meet_group();
      }
      MFS_UNROLL
      for (int j = 0; j < kPanel / 8; j += 2) {
        // Four 8x8 pieces: two of pixels for each of two chunks of channels.
        unsigned char* const place = chunk(staged, pixel, j + lane / 16);
        uint32_t r[4] = {};
        if (p.has_residual) simt::load_matrix<4>(r, place);
        MFS_UNROLL
        for (int i = 0; i < 4; ++i) {
          const simt::U32x2 b = simt::load_constant(reinterpret_cast<const simt::U32x2*>(bias + 8 * (j + i / 2)));
          const float pair[2] = {simt::bits_as<float>(b.x), simt::bits_as<float>(b.y)};
          r[i] = finish(sum + panel * kPanel / 2 + 4 * (j + i / 2) + 2 * (i % 2), pair, r[i]);
        }
        simt::store_matrix<4>(place, r);
      }
      simt::fence_proxy_async();
      meet_group();
      if (thread % 128 == 0) {
        simt::tma_store(p.dst, staged, panel_place(at, panel).c);
        simt::tma_store_commit();
        if (p.has_residual && panel + Tile::kBuffers < Tile::kPanels) {
          simt::tma_store_wait_read<0>();
          load_residual(at, panel + Tile::kBuffers, ring.at);
        }
      }
      ring.advance();
    }
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
