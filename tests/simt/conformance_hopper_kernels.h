// The same for the wrappers of sm_90: TMA, wgmma, clusters, grid barriers, programmatic launches.
#pragma once

#include "kernels/cuda/simt/cluster.h"
#include "kernels/cuda/simt/elect.h"
#include "kernels/cuda/simt/fence.h"
#include "kernels/cuda/simt/grid_barrier.h"
#include "kernels/cuda/simt/mbarrier.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/registers.h"
#include "kernels/cuda/simt/tma.h"
#include "kernels/cuda/simt/tma_store.h"
#include "kernels/cuda/simt/wgmma.h"
#include "tests/simt/conformance_kernels.h"

namespace mfs::core::MFS_SIMT_BACKEND {

struct Coordinates {
  int c[5];
};

// Loads a box, copies it as it lies in shared memory to `raw`, and stores it to another tensor.
template <int kRank, bool kHinted>
MFS_KERNEL void tma_conformance(const MFS_GRID_CONSTANT TensorMap in, const MFS_GRID_CONSTANT TensorMap out, Coordinates at,
                                Coordinates to, unsigned char* raw, uint32_t bytes) {
  unsigned char* box = shared_memory();
  uint64_t* barrier = reinterpret_cast<uint64_t*>(box + (bytes + 1023) / 1024 * 1024);
  int c[kRank], target[kRank];
  for (int i = 0; i < kRank; ++i) c[i] = at.c[i], target[i] = to.c[i];
  if (thread_index().x == 0) {
    prefetch(in);
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
  }
  sync_block();
  if (thread_index().x == 0) {
    mbarrier_arrive_expect(barrier, bytes);
    if constexpr (kHinted) {
      tma_load(box, in, barrier, c, l2_evict_first());
    } else {
      tma_load(box, in, barrier, c);
    }
  }
  mbarrier_wait(barrier, 0);
  for (uint32_t i = thread_index().x; i < bytes; i += block_size().x) raw[i] = box[i];
  if (thread_index().x == 0) {
    tma_store(out, box, target);
    tma_store_commit();
    tma_store_wait_read<0>();
  }
}

// What a warpgroup holds, as 64 rows of kColumns.
template <int kColumns, class Sum>
MFS_DEVICE void store_products(const Sum (&d)[kColumns / 2], Sum* out) {
  const unsigned t = thread_index().x;
  for (unsigned i = 0; i < kColumns / 2; ++i) {
    const unsigned row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + t % 4 * 2 + i % 2;
    out[row * kColumns + column] = d[i];
  }
}

// in: 64 + kColumns rows of 32 bytes; kept in shared memory `part` rows-of-32-bytes into rows of the swizzle's width.
template <class T, int kColumns>
MFS_KERNEL void wgmma_conformance(const U32x4* in, Accumulator<T>* out, Swizzle swizzle, unsigned part) {
  constexpr unsigned kRows = 64 + kColumns;
  const unsigned width = static_cast<unsigned>(swizzle), t = thread_index().x;
  U32x4* chunks = reinterpret_cast<U32x4*>(shared_memory());
  for (unsigned i = t; i < kRows * 2; i += 128) {
    const unsigned row = i / 2, chunk = i % 2;
    // Without swizzle: tiles of 8 rows by 16 bytes, the two along K next to each other.
    unsigned place = row / 8 * 16 + chunk * 8 + row % 8;
    const unsigned in_row = part * 2 + chunk;
    if (width == 128) place = row * 8 + (in_row ^ row % 8);
    if (width == 64) place = row * 4 + (in_row ^ row / 2 % 4);
    if (width == 32) place = row * 2 + (in_row ^ row / 4 % 2);
    chunks[place] = load(in + i);
  }
  fence_proxy_async();
  sync_block();
  const uint32_t group = width == 0 ? 256 : 8 * width, k_stride = width == 0 ? 128 : 16;
  const uint64_t a = matrix_descriptor(chunks, swizzle, group, k_stride) + part * 2;
  const uint64_t b = matrix_descriptor(shared_memory() + 8 * group, swizzle, group, k_stride) + part * 2;
  Accumulator<T> d[kColumns / 2];
  for (int i = 0; i < kColumns / 2; ++i) d[i] = Accumulator<T>(1000);  // replaced by the first product
  wgmma_fence();
  wgmma<T, kColumns>(d, a, b, false);
  wgmma<T, kColumns>(d, a, b, true);
  wgmma_commit();
  wgmma_wait<0>();
  store_products<kColumns>(d, out);
}

// Windows that overlap: row i of a is chunks first + i and first + i + 1 of 68 chunks of 16 bytes, which are there once. After
// these, b: kColumns rows of the first chunk of K, then of the second.
template <class T, int kColumns>
MFS_KERNEL void wgmma_windows_conformance(const U32x4* in, Accumulator<T>* out, unsigned first) {
  constexpr unsigned kChunks = 68;
  const unsigned t = thread_index().x;
  U32x4* chunks = reinterpret_cast<U32x4*>(shared_memory());
  for (unsigned i = t; i < kChunks + 2 * kColumns; i += 128) chunks[i] = load(in + i);
  fence_proxy_async();
  sync_block();
  const uint64_t a = matrix_descriptor(chunks, Swizzle::kNone, 128, 16) + first;
  const uint64_t b = matrix_descriptor(chunks + kChunks, Swizzle::kNone, 128, kColumns * 16);
  Accumulator<T> d[kColumns / 2];
  wgmma_fence();
  wgmma<T, kColumns>(d, a, b, false);
  wgmma_commit();
  wgmma_wait<0>();
  store_products<kColumns>(d, out);
}

// How many lanes of a warp are chosen, and whether it is the same one again.
MFS_KERNEL void elect_conformance(uint32_t* out) {
  const uint32_t first = vote_ballot(elect_one()), again = vote_ballot(elect_one());
  out[lane_index()] = (first != 0 && (first & (first - 1)) == 0 ? 1u : 0u) + (again == first ? 2u : 0u);
}

// Each block gives its rank's numbers to the next one, by remote stores and by a multicast load.
MFS_KERNEL void cluster_conformance(const MFS_GRID_CONSTANT TensorMap in, uint32_t* out) {
  uint32_t* box = reinterpret_cast<uint32_t*>(shared_memory());  // 32 numbers by multicast, at 512 bytes 32 from the neighbour
  uint32_t* given = box + 128;
  uint64_t* barriers = reinterpret_cast<uint64_t*>(box + 256);
  const unsigned t = thread_index().x, rank = cluster_rank(), next = (rank + 1) % cluster_blocks();
  if (t == 0) {
    mbarrier_init(barriers, 1);
    mbarrier_init(barriers + 1, 32);
    mbarrier_init(barriers + 2, 32);
    fence_mbarrier_init();
  }
  sync_cluster();
  if (t == 0) {
    mbarrier_arrive_expect(barriers, 128);
    if (rank == 0)
      tma_load_multicast(box, in, barriers, {4, 1}, static_cast<uint16_t>((1u << cluster_blocks()) - 1), l2_evict_first());
  }
  *shared_of(given + t, next) = rank * 100 + t;
  mbarrier_publish_remote(barriers + 1, next);
  mbarrier_wait(barriers, 0);
  mbarrier_wait_published(barriers + 1, 0);
  out[(block_index().x * 2) * 32 + t] = box[t];
  out[(block_index().x * 2 + 1) * 32 + t] = given[t];
  mbarrier_arrive_remote(barriers + 2, next);
  mbarrier_wait(barriers + 2, 0);
  sync_cluster();
}

// Every block adds up what all of them have written, twice: whoever reads too early, or an old value again, is wrong.
MFS_KERNEL void grid_conformance(uint32_t* barrier, uint32_t* values, uint32_t* out) {
  const unsigned t = thread_index().x, block = block_index().x, blocks = grid_size().x;
  for (uint32_t round = 0; round < 2; ++round) {
    store(values + block * 32 + t, load(values + block * 32 + t) + block + t + round);
    sync_warp();
    if (t == 0) meet_grid(barrier, blocks, block == 0);
    sync_warp();
    uint32_t sum = 0;
    for (unsigned b = 0; b < blocks; ++b) sum += load(values + b * 32 + t);
    store(out + (round * blocks + block) * 32 + t, sum);
    sync_warp();
    if (t == 0) meet_grid(barrier, blocks, block == 0);
    sync_warp();
  }
}

// Three of these in a row: each adds up what the one before left behind.
MFS_KERNEL void dependent_conformance(const uint32_t* in, uint32_t* out) {
  grid_dependency_wait();
  const unsigned n = grid_size().x * block_size().x, i = block_index().x * block_size().x + thread_index().x;
  out[i] = in[i] + in[n - 1 - i];
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(384, 1) registers_conformance(uint32_t* out) {
  if (thread_index().x / 128 == 2) {
    release_registers<40>();
    out[thread_index().x] = 40;
  } else {
    claim_registers<232>();
    out[thread_index().x] = 232;
  }
}

}  // namespace mfs::core::MFS_SIMT_BACKEND
