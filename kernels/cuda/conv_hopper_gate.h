// The end of a tile in the Hopper family when squeeze-and-excitation follows (kernels/conv_gate.h): every block has one tile
// and keeps it, staged as it would be stored, until the sums of all of them are there.
#pragma once

#include "kernels/cuda/conv_hopper_finish.h"
#include "kernels/cuda/conv_hopper_gate_plan.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile>
struct HopperGate : HopperFinish<T, Tile> {
  using Finish = HopperFinish<T, Tile>;
  using Finish::barrier, Finish::buffer, Finish::group, Finish::lane, Finish::memory, Finish::p, Finish::panel_place,
      Finish::pieces, Finish::rank, Finish::thread;
  using Finish::kOwnSums, Finish::kPanel;
  using typename Finish::PanelPlace, typename Finish::Place, typename Finish::Sum, typename Finish::Wide;

  // The consumers' threads, as Gates wants them. Their memory lies behind the residual's panels, where the stages were.
  struct Consumers {
    unsigned columns, lanes, column, lane;
    float* memory;

    MFS_DEVICE void meet() const { Finish::meet_consumers(); }
  };
  using Excitation = Gates<Consumers, kHopperGateWidth>;
  static constexpr int kGatesAt = Tile::kConsumers * Tile::kPanels * Tile::kPanelBytes;
  static_assert(kGatesAt == hopper_residual_bytes(Tile::kIs));

  MFS_DEVICE Excitation excitation() const {
    const auto columns = static_cast<unsigned>(p.gate.columns), t = static_cast<unsigned>(thread);
    const Consumers team{columns, kSumThreads / columns, t % columns, t / columns, reinterpret_cast<float*>(memory + kGatesAt)};
    return {p.gate.gate, team, p.gate.sharers, p.gate.sharers > 1 ? rank : 0};
  }

  MFS_DEVICE unsigned char* residual_panel(int panel) const {
    return memory + (group * Tile::kPanels + panel) * Tile::kPanelBytes;
  }
  MFS_DEVICE void load_residual_panels(const Place& at) const {
    for (int panel = 0; panel < Tile::kPanels; ++panel) {
      uint64_t* const signal = barrier(Tile::kResidual, group * Tile::kBuffers + panel);
      simt::mbarrier_arrive_expect(signal, Tile::kPanelBytes);
      simt::tma_load(residual_panel(panel), p.residual, signal, panel_place(at, panel).c);
    }
  }

  MFS_DEVICE void excite(const Excitation& e, int image) const {
    e.sum_own_parts(p.sums + int64_t{image} * e.g.parts * e.g.channels);
    if (e.sharers > 1) {
      e.send_means();
      e.team.meet();
      if (thread < e.sharers && thread != rank)
        simt::mbarrier_publish_remote(barrier(Tile::kMeans, 0), static_cast<uint32_t>(thread));
      simt::mbarrier_wait_published(barrier(Tile::kMeans, 0), 0);
      e.add_means();
    }
    e.find_gates();
  }

  // gates: from the panel's first channel.
  MFS_DEVICE void scale_panel(unsigned char* staged, unsigned char* residual, const float* gates) const {
    MFS_UNROLL
    for (int j = 0; j < kPanel / 8; j += 2) {
      uint32_t r[4], add[4] = {};
      simt::load_matrix<4>(r, pieces(staged, j));
      if (p.gate.has_residual) simt::load_matrix<4>(add, pieces(residual, j));
      MFS_UNROLL
      for (int i = 0; i < 4; ++i) {
        const float* const gate = gates + 8 * (j + i / 2) + lane % 4 * 2;
        float v[2];
        MFS_UNROLL
        for (int e = 0; e < 2; ++e) {
          v[e] = widened<Wide>(r[i] >> 16 * e & 0xffff) * simt::load(gate + e) + widened<Wide>(add[i] >> 16 * e & 0xffff);
          if (p.gate.relu) v[e] = v[e] < 0 ? 0.0f : v[e];
        }
        r[i] = packed<Wide>(v[0], v[1]);
      }
      simt::store_matrix<4>(pieces(staged, j), r);
    }
  }

  MFS_DEVICE void write_gated(const Sum (&sum)[kOwnSums], const Place& at) const {
    uint32_t none[kPanel / 8] = {};
    MFS_UNROLL
    for (int panel = 0; panel < Tile::kPanels; ++panel) {
      const PanelPlace place = panel_place(at, panel);
      this->write_wide(sum + panel * kPanel / 2, place.c[0] + lane % 4 * 2, buffer(panel), none);
      this->sum_up(buffer(panel), place, at);
    }
    // Both warpgroups have multiplied: the stages are free.
    if (p.gate.has_residual && thread % 128 == 0) load_residual_panels(at);
    if (thread == 0) simt::meet_grid(p.gate.barrier, simt::grid_size().x, simt::block_index().x == 0);
    this->meet_consumers();
    const Excitation e = excitation();
    excite(e, at.image < p.images ? at.image : p.images - 1);
    MFS_UNROLL
    for (int panel = 0; panel < Tile::kPanels; ++panel) {
      const PanelPlace place = panel_place(at, panel);
      if (p.gate.has_residual) simt::mbarrier_wait(barrier(Tile::kResidual, group * Tile::kBuffers + panel), 0);
      scale_panel(buffer(panel), residual_panel(panel), e.gates + place.c[0]);
      simt::fence_proxy_async();
      this->meet_group();
      if (thread % 128 == 0) {
        simt::tma_store(p.dst, buffer(panel), place.c);
        simt::tma_store_commit();
      }
    }
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
