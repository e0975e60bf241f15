// Convolution on Hopper's tensor cores (sm_90a): implicit GEMM by TMA and wgmma, persistent and warp-specialised.
//
// A tile is 128 output pixels (tile_h x tile_w of one image) by kColumns output channels. K runs in steps of 128 bytes of
// channels: those of src for every tap of the filter, then those of joined. For a step, TMA brings the tap's box of pixels,
// zeros where it leaves the image, and the matching piece of the packed weights. One thread of the last warpgroup orders these
// loads, kStages steps ahead; the other two warpgroups multiply, 64 pixels each.
//
// A cluster is kSplits x cluster_rows x cluster_columns blocks. Those of one row of it have the same pixels, those of one
// column the same channels: each block fetches a part of what they share and multicasts it. The kSplits blocks of one tile sum
// parts of K, exchange partial sums, and finish kColumns / kSplits channels each, in one of the ways of HopperEnd.
#pragma once

#include "kernels/cuda/conv_hopper_gate.h"
#include "kernels/cuda/conv_hopper_logit.h"
#include "kernels/cuda/conv_hopper_producer.h"
#include "kernels/cuda/simt/elect.h"
#include "kernels/cuda/simt/registers.h"
#include "kernels/cuda/simt/wgmma.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile, HopperEnd kEnd>
struct HopperConsumer : std::conditional_t<kEnd == HopperEnd::kGate, HopperGate<T, Tile>, HopperLogit<T, Tile>> {
  using Block = HopperBlock<Tile>;
  using Block::barrier, Block::group, Block::memory, Block::p, Block::thread, Block::meet_group, Block::place, Block::stage;
  using Block::cluster, Block::clusters, Block::column, Block::groups, Block::plane, Block::rank, Block::row, Block::split,
      Block::steps;
  using Block::kColumns, Block::kParts, Block::kSplits, Block::kStages;
  using Finish = HopperFinish<T, Tile>;
  using Finish::kOwnSums;
  using Sum = typename Finish::Sum;
  using Place = typename Block::Place;

  // Every block whose loads reach this one's stages is told when one is free, by one thread each; the others tell nobody.
  const int told = block_to_tell();
  MFS_DEVICE int block_to_tell() const {
    const int t = thread % 128;
    if (t >= p.cluster_rows + p.cluster_columns - 1) return -1;
    const int other_row = t < p.cluster_columns ? row : (t - p.cluster_columns + 1 + row) % p.cluster_rows;
    const int other_column = t < p.cluster_columns ? t : column;
    return split * plane + other_row * p.cluster_columns + other_column;
  }

  // All have waited for the multiplication.
  MFS_DEVICE void release(int s) {
    if (told < 0) return;
    if (plane == 1) {
      simt::mbarrier_arrive(barrier(Tile::kEmpty, s));
    } else {
      simt::mbarrier_arrive_remote(barrier(Tile::kEmpty, s), static_cast<uint32_t>(told));
    }
  }

  // Orders the products of a stage, once it is full.
  MFS_DEVICE void multiply_stage(Sum (&sum)[kColumns / 2], const HopperRing<kStages>& ring, bool accumulate) const {
    simt::mbarrier_wait(barrier(Tile::kFull, ring.at), ring.parity);
    const uint64_t a =
        simt::matrix_descriptor(stage(ring.at) + group * Tile::kGroupRows * kHopperStepBytes, simt::Swizzle::k128, 8 * 128);
    const uint64_t b = simt::matrix_descriptor(stage(ring.at) + Tile::kABytes, simt::Swizzle::k128, 8 * 128);
    simt::wgmma_fence();
    MFS_UNROLL
    for (int k = 0; k < kHopperStepBytes / 32; ++k) simt::wgmma<T, kColumns>(sum, a + 2 * k, b + 2 * k, accumulate || k > 0);
    simt::wgmma_commit();
  }

  // The products of the next `count` steps. A stage is free when those of the one after it are under way.
  MFS_DEVICE void multiply_steps(Sum (&sum)[kColumns / 2], HopperRing<kStages>& ring, int count) {
    int before = 0;
    for (int step = 0; step < count; ++step) {
      multiply_stage(sum, ring, step > 0);
      if (step > 0) {
        simt::wgmma_wait<1>();
        release(before);
      }
      before = ring.at;
      ring.advance();
    }
    simt::wgmma_wait<0>();
    release(before);
  }

  MFS_DEVICE void multiply(Sum (&sum)[kColumns / 2], HopperRing<kStages>& ring) {
    if constexpr (std::is_same_v<T, simt::E4m3>) {
      // Its tensor cores keep about 13 bits of a sum: parts of it are added up here.
      Sum part[kColumns / 2];
      MFS_UNROLL
      for (int i = 0; i < kColumns / 2; ++i) sum[i] = 0;
      for (int left = steps; left > 0; left -= kHopperFp8Steps) {
        multiply_steps(part, ring, left < kHopperFp8Steps ? left : kHopperFp8Steps);
        MFS_UNROLL
        for (int i = 0; i < kColumns / 2; ++i) sum[i] += part[i];
      }
    } else {
      multiply_steps(sum, ring, steps);
    }
  }

  static MFS_DEVICE simt::F32x4 four_of(const Sum* s) {
    return {simt::bits_as<float>(s[0]), simt::bits_as<float>(s[1]), simt::bits_as<float>(s[2]), simt::bits_as<float>(s[3])};
  }
  MFS_DEVICE simt::F32x4* part(int slot) const {
    return reinterpret_cast<simt::F32x4*>(memory + Tile::kPartsAt) + (slot * Tile::kConsumers + group) * Tile::kPartFloats / 4 +
           thread % 128;
  }

  // Sends the sums of other blocks' channels there, and adds theirs to this block's, always in the same order.
  MFS_DEVICE void exchange(const Sum (&sum)[kColumns / 2], Sum (&own)[kOwnSums], uint32_t parity) {
    simt::mbarrier_wait_published(barrier(Tile::kPartsEmpty, group), parity ^ 1);
    MFS_UNROLL
    for (int owner = 0; owner < kSplits; ++owner) {
      const Sum* const from = sum + owner * kOwnSums;
      if (owner == split) {
        MFS_UNROLL
        for (int i = 0; i < kOwnSums; ++i) own[i] = from[i];
      } else {
        const int slot = split < owner ? split : split - 1, to = owner * plane + rank % plane;
        simt::F32x4* const there = simt::shared_of(part(slot), static_cast<uint32_t>(to));
        MFS_UNROLL
        for (int i = 0; i < kOwnSums; i += 4) simt::store(there + i / 4 * 128, four_of(from + i));
      }
    }
    meet_others(Tile::kPartsFull);
    simt::mbarrier_wait_published(barrier(Tile::kPartsFull, group), parity);
    MFS_UNROLL
    for (int slot = 0; slot < kParts; ++slot) {
      MFS_UNROLL
      for (int i = 0; i < kOwnSums; i += 4) {
        const simt::F32x4 four = simt::load(part(slot) + i / 4 * 128);
        own[i] += simt::bits_as<Sum>(four.x), own[i + 1] += simt::bits_as<Sum>(four.y);
        own[i + 2] += simt::bits_as<Sum>(four.z), own[i + 3] += simt::bits_as<Sum>(four.w);
      }
    }
    meet_others(Tile::kPartsEmpty);
  }

  // This warpgroup is done with something: tells the same warpgroup of the tile's other blocks.
  MFS_DEVICE void meet_others(int first_barrier) {
    meet_group();
    const int t = thread % 128;
    if (t < kSplits && t != split)
      simt::mbarrier_publish_remote(barrier(first_barrier, group), static_cast<uint32_t>(t * plane + rank % plane));
  }

  MFS_DEVICE void finish_tile(const Sum (&sum)[kOwnSums], const Place& at, typename Finish::Buffers& buffers) {
    if constexpr (kEnd == HopperEnd::kLogit) {
      this->write_logit(sum, at);
    } else if constexpr (kEnd == HopperEnd::kGate) {
      this->write_gated(sum, at);
    } else {
      this->write(sum, at, buffers);
    }
  }

  MFS_DEVICE void run() {
    Sum sum[kColumns / 2] = {};
    HopperRing<kStages> ring;
    typename Finish::Buffers buffers;
    uint32_t parity = 0;
    for (int number = cluster; number < groups; number += clusters, parity ^= 1) {
      const Place at = place(number);
      if constexpr (kEnd == HopperEnd::kLogit) {
        this->make_table(at);
      } else if constexpr (kEnd == HopperEnd::kMap) {
        this->load_residual_ahead(at, buffers);
      }
      multiply(sum, ring);
      if constexpr (kSplits > 1) {
        Sum own[kOwnSums];
        exchange(sum, own, parity);
        finish_tile(own, at, buffers);
      } else {
        finish_tile(sum, at, buffers);
      }
    }
    if (thread % 128 == 0) simt::tma_store_wait_read<0>();
    // The other blocks' last signals, before this one may end.
    if constexpr (kSplits > 1) simt::mbarrier_wait_published(barrier(Tile::kPartsEmpty, group), parity ^ 1);
  }
};

template <class T, std::size_t kModel, HopperEnd kEnd>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(384, 1) conv_hopper_kernel(const MFS_GRID_CONSTANT HopperConvParams p) {
  using Tile = HopperTile<kModel>;
  const HopperBlock<Tile> block{p};
  block.initialise();
  if (block.group == Tile::kConsumers) {
    simt::release_registers<40>();
    // The other threads of the producer's warp must not hold it up at the wait before it has ordered the first weights.
    if (block.thread / 32 == Tile::kConsumers * 4) {
      if (simt::elect_one()) HopperProducer<Tile>{{block}}.run();
      simt::sync_warp();
    }
    simt::grid_dependency_wait();
  } else {
    simt::claim_registers<232>();
    simt::grid_dependency_wait();
    HopperConsumer<T, Tile, kEnd>{{block}}.run();
  }
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
