// The Hopper family's kernels: parameters, the layout of shared memory, and which part of the work a block has.
#pragma once

#include "kernels/cuda/conv_hopper_head.h"
#include "kernels/cuda/conv_hopper_head_plan.h"
#include "kernels/cuda/gates.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/cluster.h"
#include "kernels/cuda/simt/grid_barrier.h"
#include "kernels/cuda/simt/mbarrier.h"
#include "kernels/cuda/simt/shuffle.h"
#include "kernels/cuda/simt/tensor_map.h"
#include "kernels/cuda/simt/tma_store.h"
#include "kernels/cuda/simt/types.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

// What becomes of a finished tile: a map; parts of a logit, at the end of the pyramid head (kernels/conv_head.h); a map scaled
// by squeeze-and-excitation (kernels/conv_gate.h).
enum class HopperEnd { kMap, kLogit, kGate };

struct HopperGateParams {
  GateParams gate;
  uint32_t* barrier;
  int sharers, columns;  // blocks of a cluster that share the reading of the sums; see Gates
  bool has_residual, relu;
};

struct HopperConvParams {
  simt::TensorMap src, joined, weights, residual, dst;
  const float *bias, *scale;  // for whole tiles; scale: narrow types only, what a sum's unit is worth
  float inverse_scale;        // of narrow
  unsigned char* narrow;      // dst or copy of it as T, or none
  float* sums;                // images x tiles x columns, or none
  int narrow_pitch, images, out_h, out_w, columns;
  int depth, steps, src_steps, chunks, kernel, stride, dilation, pad, joined_stride;
  int tile_h, tile_w, tile_w_bits, tiles_x, tiles_y;  // tile_w: 1 << tile_w_bits
  int row_groups, column_groups;                      // of tiles, one for each block of a cluster
  int cluster_rows, cluster_columns;
  bool has_residual, relu, to_narrow;
  bool weights_once;  // no cluster has more than one tile
  HopperHeadParams head;
  HopperGateParams gate;
};

// Elements of src, joined and weights are T, for int8 uint8_t (with weights of int8_t), for fp8 E4m3. Those of residual and,
// unless it is narrow, dst: Wide.
template <class T>
inline constexpr bool kIsNarrow = std::is_same_v<T, uint8_t> || std::is_same_v<T, simt::E4m3>;
template <class T>
using WideElement = std::conditional_t<kIsNarrow<T>, simt::Half, T>;

template <std::size_t kModel>
struct HopperTile {
  static constexpr HopperTileModel kIs = kHopperTiles[kModel];
  static constexpr int kColumns = kIs.columns, kSplits = kIs.splits, kStages = kIs.stages, kBuffers = kIs.buffers;
  static constexpr int kThreads = 384, kConsumers = 2, kGroupRows = kHopperRows / kConsumers;
  static constexpr int kABytes = kHopperRows * kHopperStepBytes, kStageBytes = hopper_stage_bytes(kIs);
  static constexpr int kOwnColumns = hopper_own_columns(kIs);  // that a block finishes
  static constexpr int kPanel = kOwnColumns < 64 ? kOwnColumns : 64, kPanels = kOwnColumns / kPanel;
  static constexpr int kPanelBytes = kGroupRows * kPanel * 2;
  static constexpr int kAhead = kPanels < kBuffers ? kPanels : kBuffers;  // panels of a residual
  static constexpr int kPartFloats = kGroupRows * kOwnColumns;            // of a warpgroup, from another block
  static constexpr int kParts = kSplits - 1;

  // Shared memory: stages, panels (of a head: its table), parts, barriers, sums over pixels.
  static constexpr int kPanelsAt = kStages * kStageBytes, kPartsAt = kPanelsAt + kConsumers * kBuffers * kPanelBytes;
  static constexpr int kBarriersAt = kPartsAt + kConsumers * kParts * kPartFloats * 4;
  static constexpr int kFull = 0, kEmpty = kStages, kResidual = 2 * kStages;
  static constexpr int kPartsFull = kResidual + kConsumers * kBuffers, kPartsEmpty = kPartsFull + kConsumers;
  static constexpr int kMeans = kPartsEmpty + kConsumers;
  static constexpr int kSumsAt = kBarriersAt + 8 * (kMeans + 1);
  static constexpr int kSharedBytes = kSumsAt + kConsumers * 4 * kPanel * 4;  // of every warp
  static_assert(kSharedBytes <= static_cast<int>(simt::kMaxSharedBytes));
  static_assert(kStageBytes % 1024 == 0 && kPanelBytes % 1024 == 0);
  static constexpr int kTableStride = hopper_table_stride(kIs);
  static_assert(4 * kTableStride * hopper_table_entries(kIs) <= kPartsAt - kPanelsAt);
};

// A place in a ring of stages or buffers, and how often it has been reached before.
template <int kSize>
struct HopperRing {
  int at = 0;
  uint32_t parity = 0;

  MFS_DEVICE void advance() {
    if (++at == kSize) at = 0, parity ^= 1;
  }
};

// A thread's view of its block.
template <class Tile>
struct HopperBlock {
  static constexpr int kColumns = Tile::kColumns, kSplits = Tile::kSplits, kStages = Tile::kStages, kParts = Tile::kParts;

  const HopperConvParams& p;
  unsigned char* const memory = simt::shared_memory();
  uint64_t* const barriers = reinterpret_cast<uint64_t*>(memory + Tile::kBarriersAt);
  const int thread = static_cast<int>(simt::thread_index().x), lane = thread % 32;
  const int group = simt::shuffle_from(thread / 128, 0);  // which the compiler then knows to be one number for the warp
  // This block in its cluster.
  const int rank = static_cast<int>(simt::cluster_rank());
  const int column = rank % p.cluster_columns, row = rank / p.cluster_columns % p.cluster_rows;
  const int plane = p.cluster_rows * p.cluster_columns, split = kSplits == 1 ? 0 : rank / plane;
  const int steps_each = (p.steps + kSplits - 1) / kSplits, first_step = split * steps_each;
  const int steps = p.steps - first_step < steps_each ? p.steps - first_step : steps_each;
  // Of the cluster's tiles.
  const int cluster = static_cast<int>(simt::block_index().x) / (kSplits * plane);
  const int clusters = static_cast<int>(simt::grid_size().x) / (kSplits * plane);
  const int groups = p.row_groups * p.column_groups;

  struct Place {
    int image, y, x, column;  // of a tile's first pixel and channel; image: past the end in an unfilled cluster
  };
  MFS_DEVICE Place place(int number) const {
    const int row_tile = number / p.column_groups * p.cluster_rows + row;
    const int column_tile = number % p.column_groups * p.cluster_columns + column;
    return {row_tile / (p.tiles_x * p.tiles_y), row_tile / p.tiles_x % p.tiles_y * p.tile_h, row_tile % p.tiles_x * p.tile_w,
            column_tile * kColumns};
  }

  MFS_DEVICE uint64_t* barrier(int first, int i) const { return barriers + first + i; }
  MFS_DEVICE unsigned char* stage(int i) const { return memory + i * Tile::kStageBytes; }

  MFS_DEVICE void initialise() const {
    if (thread == 0) {
      // A stage is free again when every block that gets a part of it from here has multiplied it.
      const auto readers = static_cast<uint32_t>(Tile::kConsumers * (p.cluster_rows + p.cluster_columns - 1));
      for (int i = 0; i < kStages; ++i) {
        simt::mbarrier_init(barrier(Tile::kFull, i), 1);
        simt::mbarrier_init(barrier(Tile::kEmpty, i), readers);
      }
      for (int i = 0; i < Tile::kConsumers * Tile::kBuffers; ++i) simt::mbarrier_init(barrier(Tile::kResidual, i), 1);
      for (int i = 0; kParts > 0 && i < Tile::kConsumers; ++i) {
        simt::mbarrier_init(barrier(Tile::kPartsFull, i), kParts);
        simt::mbarrier_init(barrier(Tile::kPartsEmpty, i), kParts);
      }
      if (p.gate.sharers > 1) simt::mbarrier_init(barrier(Tile::kMeans, 0), static_cast<uint32_t>(p.gate.sharers - 1));
      simt::fence_mbarrier_init();
    } else if (thread == 32) {
      simt::prefetch(p.src), simt::prefetch(p.joined), simt::prefetch(p.weights);
      simt::prefetch(p.residual), simt::prefetch(p.dst);
    }
    meet();
  }

  MFS_DEVICE void meet() const {
    if (kSplits * plane > 1) {
      simt::meet_cluster();
    } else {
      simt::sync_block();
    }
  }

  MFS_DEVICE void meet_group() const { simt::sync_named(1 + static_cast<unsigned>(group), 128); }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
