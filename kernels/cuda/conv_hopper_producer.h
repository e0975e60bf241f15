// The producer of the Hopper family: one thread of a block orders all loads of pixels and weights.
#pragma once

#include "kernels/cuda/conv_hopper_block.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/tma.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class Tile>
struct HopperProducer : HopperBlock<Tile> {
  using Block = HopperBlock<Tile>;
  using Block::barrier, Block::cluster, Block::clusters, Block::first_step, Block::groups, Block::place, Block::stage,
      Block::steps;
  using Block::kColumns, Block::kStages, Block::p, Block::rank, Block::row, Block::column, Block::plane, Block::split;
  using Place = typename Block::Place;

  // The network's weights pass through L2 once per run and would push the values out that later layers want. So they go first,
  // if every cluster has one tile: then all read the same piece of them at about the same time, the only time. Clusters that do
  // several tiles come back for them. Pixels have no hint: with the weights out of the way, what was used last stays, and
  // evict_last would keep dead values, too.
  const simt::L2Policy weights_policy = p.weights_once ? simt::l2_evict_first() : simt::l2_evict_normal();

  // This block's share of the step's weights: rows of them, for the whole column of the cluster.
  MFS_DEVICE void load_weights(int step, int s, const Place& at) {
    const int share = kColumns / p.cluster_rows, first = row * share;
    const int c[2] = {(first_step + step) * p.depth, at.column + first};
    unsigned char* const to = stage(s) + Tile::kABytes + first * kHopperStepBytes;
    if (p.cluster_rows == 1) {
      simt::tma_load(to, p.weights, barrier(Tile::kFull, s), c, weights_policy);
    } else {
      uint32_t blocks = 0;
      for (int r = 0; r < p.cluster_rows; ++r) blocks |= 1u << (split * plane + r * p.cluster_columns + column);
      simt::tma_load_multicast(to, p.weights, barrier(Tile::kFull, s), c, static_cast<uint16_t>(blocks), weights_policy);
    }
  }

  // This block's share of the step's pixels, for the whole row of the cluster.
  MFS_DEVICE void load_pixels(int step, int s, const Place& at) {
    const int k = first_step + step, share = kHopperRows / p.cluster_columns;
    const bool of_joined = k >= p.src_steps;
    int y = at.y, x = at.x;
    if (p.tile_h > 1) {
      y += p.tile_h / p.cluster_columns * column;
    } else {
      x += share * column;
    }
    int c[4];
    if (of_joined) {
      c[0] = (k - p.src_steps) * p.depth, c[1] = x * p.joined_stride, c[2] = y * p.joined_stride;
    } else {
      const int tap = k / p.chunks;
      c[0] = k % p.chunks * p.depth;
      c[1] = x * p.stride - p.pad + tap % p.kernel * p.dilation;
      c[2] = y * p.stride - p.pad + tap / p.kernel * p.dilation;
    }
    c[3] = at.image;
    const simt::TensorMap& map = of_joined ? p.joined : p.src;
    unsigned char* const to = stage(s) + column * share * kHopperStepBytes;
    if (p.cluster_columns == 1) {
      simt::tma_load(to, map, barrier(Tile::kFull, s), c);
    } else {
      const uint32_t blocks = ((1u << p.cluster_columns) - 1) << (rank - column);
      simt::tma_load_multicast(to, map, barrier(Tile::kFull, s), c, static_cast<uint16_t>(blocks));
    }
  }

  // Weights do not depend on earlier kernels: the first ones are under way before these are complete.
  MFS_DEVICE void run() {
    const int early = steps < kStages ? steps : kStages;
    HopperRing<kStages> ring;
    const Place first = place(cluster);
    for (int step = 0; step < early; ++step) {
      simt::mbarrier_arrive_expect(barrier(Tile::kFull, step), Tile::kStageBytes);
      load_weights(step, step, first);
    }
    simt::grid_dependency_wait();
    for (int step = 0; step < early; ++step, ring.advance()) load_pixels(step, step, first);
    int step = early;
    for (int number = cluster; number < groups; number += clusters, step = 0) {
      const Place at = place(number);
      for (; step < steps; ++step, ring.advance()) {
        simt::mbarrier_wait(barrier(Tile::kEmpty, ring.at), ring.parity ^ 1);
        simt::mbarrier_arrive_expect(barrier(Tile::kFull, ring.at), Tile::kStageBytes);
        load_weights(step, ring.at, at);
        load_pixels(step, ring.at, at);
      }
    }
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
