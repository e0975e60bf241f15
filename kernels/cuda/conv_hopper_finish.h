// The end of a tile in the Hopper family: scale, bias, residual and ReLU on a panel of 64 pixels by kPanel channels at a time,
// which TMA brings and takes away; narrow results go straight to memory.
#pragma once

#include "kernels/cuda/conv_hopper_sums.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/mma.h"
#include "kernels/cuda/simt/tma.h"
#include "kernels/cuda/simt/tma_store.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile>
struct HopperFinish : HopperSums<T, Tile> {
  using Block = HopperBlock<Tile>;
  using Sums = HopperSums<T, Tile>;
  using Block::barrier, Block::group, Block::lane, Block::meet_group, Block::memory, Block::p, Block::thread;
  using Sums::kPanel, Sums::own_pixel, Sums::panel_place, Sums::pieces;
  using typename Sums::PanelPlace, typename Sums::Pixel, typename Sums::Place, typename Sums::Wide;
  using Sum = simt::Accumulator<T>;
  static constexpr bool kNarrow = kIsNarrow<T>;
  static constexpr int kOwnSums = Tile::kOwnColumns / 2;
  using Buffers = HopperRing<Tile::kBuffers>;

  MFS_DEVICE unsigned char* buffer(int i) const {
    return memory + Tile::kPanelsAt + (group * Tile::kBuffers + i) * Tile::kPanelBytes;
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

  struct Two {
    float v[2];
  };
  static MFS_DEVICE Two two_at(const float* p) {
    const simt::U32x2 bits = simt::load_constant(reinterpret_cast<const simt::U32x2*>(p));
    return {{simt::bits_as<float>(bits.x), simt::bits_as<float>(bits.y)}};
  }
  // Scale, bias, residual and ReLU of two neighbouring channels, the first of which is `channel`.
  MFS_DEVICE Two finish(const Sum* sum, int channel, uint32_t residual) const {
    const Two bias = two_at(p.bias + channel);
    Two scale, r;
    if constexpr (kNarrow) scale = two_at(p.scale + channel);
    MFS_UNROLL
    for (int e = 0; e < 2; ++e) {
      float& v = r.v[e];
      v = static_cast<float>(sum[e]);
      if constexpr (kNarrow) v *= scale.v[e];
      v += bias.v[e] + (p.has_residual ? widened<Wide>(residual >> 16 * e & 0xffff) : 0);
      if (p.relu) v = v > 0 || v != v ? v : 0;
    }
    return r;
  }

  // A panel of Wide, over the residual's if there is one: four 8x8 pieces at a time, two of pixels for each of two chunks. Its
  // values as T: `narrow`, see store_narrow.
  MFS_DEVICE void write_wide(const Sum* sum, int channel, unsigned char* staged, uint32_t (&narrow)[kPanel / 8]) const {
    MFS_UNROLL
    for (int j = 0; j < kPanel / 8; j += 2) {
      unsigned char* const place = pieces(staged, j);
      uint32_t r[4] = {};
      if (p.has_residual) simt::load_matrix<4>(r, place);
      MFS_UNROLL
      for (int i = 0; i < 4; ++i) {
        const Two two = finish(sum + 4 * (j + i / 2) + 2 * (i % 2), channel + 8 * (j + i / 2), r[i]);
        r[i] = packed<Wide>(two.v[0], two.v[1]);
        if (kNarrow && p.narrow != nullptr) narrow[i % 2 * (kPanel / 16) + j / 2] |= both_narrowed(r[i]) << 16 * (i / 2);
      }
      simt::store_matrix<4>(place, r);
    }
  }

  // Two neighbouring values of Wide as T.
  MFS_DEVICE uint32_t both_narrowed(uint32_t pair) const {
    return narrowed<T>(widened<Wide>(pair & 0xffff) * p.inverse_scale, widened<Wide>(pair >> 16) * p.inverse_scale);
  }

  // Word w of a thread becomes what was its own of thread w of its four.
  MFS_DEVICE void transpose(uint32_t (&w)[4]) const {
    MFS_UNROLL
    for (int bit = 1; bit <= 2; bit *= 2) {
      const bool upper = (lane & bit) != 0;
      MFS_UNROLL
      for (int a = 0; a < 4; ++a) {
        if (a & bit) continue;
        const uint32_t got = simt::shuffle_xor(upper ? w[a] : w[a + bit], static_cast<unsigned>(bit));
        w[a] = upper ? got : w[a], w[a + bit] = upper ? w[a + bit] : got;
      }
    }
  }

  // A panel as T, straight to memory. narrow[h * (kPanel / 16) + i]: of row h of the thread's two, channels
  // 16 i + 2 (lane % 4) and the next one, and in the upper half those 8 further on. Four threads turn theirs into 16 neighbours
  // each.
  MFS_DEVICE void store_narrow(const uint32_t (&narrow)[kPanel / 8], const PanelPlace& panel) const {
    constexpr int kChunks = kPanel / 16;
    MFS_UNROLL
    for (int first = 0; first < 2 * kChunks; first += 4) {
      uint32_t w[4] = {narrow[first], narrow[first + 1], narrow[first + 2], narrow[first + 3]};
      transpose(w);
      const int mine = first + lane % 4, channel = panel.c[0] + mine % kChunks * 16;
      const Pixel pixel = own_pixel(panel, mine / kChunks);
      const int64_t at = ((int64_t{panel.c[3]} * p.out_h + pixel.y) * p.out_w + pixel.x) * p.narrow_pitch + channel;
      if (pixel.inside && channel < p.columns)
        simt::store(reinterpret_cast<simt::U32x4*>(p.narrow + at),
                    simt::U32x4{(w[0] & 0xffff) | w[1] << 16, (w[2] & 0xffff) | w[3] << 16, w[0] >> 16 | (w[1] & 0xffff0000),
                                w[2] >> 16 | (w[3] & 0xffff0000)});
    }
  }

  // A panel as T alone.
  MFS_DEVICE void write_narrow(const Sum* sum, int channel, const PanelPlace& panel) const {
    uint32_t narrow[kPanel / 8] = {};
    MFS_UNROLL
    for (int j = 0; j < kPanel / 8; ++j) {
      MFS_UNROLL
      for (int i = 0; i < 2; ++i) {
        const Two two = finish(sum + 4 * j + 2 * i, channel + 8 * j, 0);
        narrow[i * (kPanel / 16) + j / 2] |= narrowed<T>(two.v[0] * p.inverse_scale, two.v[1] * p.inverse_scale)
                                             << 16 * (j % 2);
      }
    }
    store_narrow(narrow, panel);
  }

  MFS_DEVICE void write(const Sum (&sum)[kOwnSums], const Place& at, Buffers& ring) {
    MFS_UNROLL
    for (int panel = 0; panel < Tile::kPanels; ++panel) {
      const PanelPlace place = panel_place(at, panel);
      const int channel = place.c[0] + lane % 4 * 2;
      if (kNarrow && p.to_narrow) {
        write_narrow(sum + panel * kPanel / 2, channel, place);
        continue;
      }
      unsigned char* const staged = buffer(ring.at);
      if (p.has_residual) {
        simt::mbarrier_wait(barrier(Tile::kResidual, group * Tile::kBuffers + ring.at), ring.parity);
      } else {
        if (thread % 128 == 0) simt::tma_store_wait_read<Tile::kBuffers - 1>();
        meet_group();
      }
      uint32_t narrow[kPanel / 8] = {};
      write_wide(sum + panel * kPanel / 2, channel, staged, narrow);
      if (kNarrow && p.narrow != nullptr) store_narrow(narrow, place);
      if (p.sums != nullptr) this->sum_up(staged, place, at);
      simt::fence_proxy_async();
      meet_group();
      if (thread % 128 == 0) {
        simt::tma_store(p.dst, staged, place.c);
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
