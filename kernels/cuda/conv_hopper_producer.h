// The producer of the Hopper family: one thread of a block orders all loads of pixels and weights.
#pragma once

#include "kernels/cuda/conv_hopper_block.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/tma.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

// A step of K: which channels of which source, and where their pixels lie from those of a tile without padding. A step follows
// another by additions: dividing for each of them takes longer than multiplying does.
struct HopperStep {
  int channel, dx, dy;
  bool joined;

  MFS_DEVICE HopperStep(const HopperConvParams& p, int number) {
    const int tap = number / p.chunks;
    joined = number >= p.src_steps;
    channel = (joined ? number - p.src_steps : number % p.chunks) * p.depth;
    dx = joined ? 0 : tap % p.kernel * p.dilation;
    dy = joined ? 0 : tap / p.kernel * p.dilation;
  }
  MFS_DEVICE void advance(const HopperConvParams& p) {
    channel += p.depth;
    if (joined || channel < p.chunks * p.depth) return;
    channel = 0, dx += p.dilation;
    if (dx < p.kernel * p.dilation) return;
    dx = 0, dy += p.dilation;
    if (dy < p.kernel * p.dilation) return;
    dy = 0, joined = true;
  }
};

template <class Tile>
struct HopperProducer : HopperBlock<Tile> {
  using Block = HopperBlock<Tile>;
  using Block::barrier, Block::cluster, Block::clusters, Block::first_step, Block::groups, Block::memory, Block::place,
      Block::steps;
  using Block::kColumns, Block::kStages, Block::p, Block::rank, Block::row, Block::column, Block::plane, Block::split;
  using Place = typename Block::Place;

  // The network's weights pass through L2 once per run and would push the values out that later layers want. So they go first,
  // if every cluster has one tile: then all read the same piece of them at about the same time, the only time. Clusters that do
  // several tiles come back for them. Pixels have no hint: with the weights out of the way, what was used last stays, and
  // evict_last would keep dead values, too.
  const simt::L2Policy weights_policy = p.weights_once ? simt::l2_evict_first() : simt::l2_evict_normal();

  // This block's shares of a stage: rows of the weights, for the whole column of the cluster, and pixels, for its whole row.
  const int weights_share = kColumns / p.cluster_rows * row, pixels_share = kHopperRows / p.cluster_columns * column;
  unsigned char* const weights_to = memory + Tile::kABytes + weights_share * kHopperStepBytes;
  unsigned char* const pixels_to = memory + pixels_share * kHopperStepBytes;
  const uint16_t weights_for = blocks_of_column();
  const uint16_t pixels_for = static_cast<uint16_t>(((1u << p.cluster_columns) - 1) << (rank - column));

  MFS_DEVICE uint16_t blocks_of_column() const {
    uint32_t blocks = 0;
    for (int r = 0; r < p.cluster_rows; ++r) blocks |= 1u << (split * plane + r * p.cluster_columns + column);
    return static_cast<uint16_t>(blocks);
  }

  MFS_DEVICE void load_weights(int k, int s, const Place& at) const {
    const int c[2] = {k, at.column + weights_share};
    unsigned char* const to = weights_to + s * Tile::kStageBytes;
    if (p.cluster_rows == 1) {
      simt::tma_load(to, p.weights, barrier(Tile::kFull, s), c, weights_policy);
    } else {
      simt::tma_load_multicast(to, p.weights, barrier(Tile::kFull, s), c, weights_for, weights_policy);
    }
  }

  // `at`: the first pixel of this block's share.
  MFS_DEVICE void load_pixels(const HopperStep& step, int s, const Place& at) const {
    const int scale = step.joined ? p.joined_stride : p.stride, pad = step.joined ? 0 : p.pad;
    const int c[4] = {step.channel, at.x * scale - pad + step.dx, at.y * scale - pad + step.dy, at.image};
    const simt::TensorMap& map = step.joined ? p.joined : p.src;
    unsigned char* const to = pixels_to + s * Tile::kStageBytes;
    if (p.cluster_columns == 1) {
      simt::tma_load(to, map, barrier(Tile::kFull, s), c);
    } else {
      simt::tma_load_multicast(to, map, barrier(Tile::kFull, s), c, pixels_for);
    }
  }

  MFS_DEVICE Place share_of(int number) const {
    Place at = place(number);
    if (p.tile_h > 1) {
      at.y += p.tile_h / p.cluster_columns * column;
    } else {
      at.x += pixels_share;
    }
    return at;
  }

  // Weights do not depend on earlier kernels: the first ones are under way before these are complete.
  MFS_DEVICE void run() {
    const int early = steps < kStages ? steps : kStages, first_k = first_step * p.depth;
    const HopperStep first_of_all(p, first_step);
    HopperRing<kStages> ring;
    HopperStep next = first_of_all;
    Place at = share_of(cluster);
    for (int step = 0; step < early; ++step) {
      simt::mbarrier_arrive_expect(barrier(Tile::kFull, step), Tile::kStageBytes);
      load_weights(first_k + step * p.depth, step, at);
    }
    simt::grid_dependency_wait();
    for (int step = 0; step < early; ++step, ring.advance(), next.advance(p)) load_pixels(next, step, at);
    int step = early;
    for (int number = cluster; number < groups; step = 0, next = first_of_all) {
      for (int k = first_k + step * p.depth; step < steps; ++step, k += p.depth, ring.advance(), next.advance(p)) {
        simt::mbarrier_wait(barrier(Tile::kEmpty, ring.at), ring.parity ^ 1);
        simt::mbarrier_arrive_expect(barrier(Tile::kFull, ring.at), Tile::kStageBytes);
        load_weights(k, ring.at, at);
        load_pixels(next, ring.at, at);
      }
      number += clusters;
      at = share_of(number);
    }
    // Until every stage is free again: a block must not end while others of its cluster still signal its barriers.
    for (int i = 0; plane > 1 && i < kStages; ++i, ring.advance())
      simt::mbarrier_wait(barrier(Tile::kEmpty, ring.at), ring.parity ^ 1);
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
