// One small kernel per wrapper, compiled by nvcc and by the host compiler. Their outputs are compared bit for bit with scalar
// references, so hardware and emulation agree where both pass.
#pragma once

#include "kernels/cuda/simt/async_copy.h"
#include "kernels/cuda/simt/atomics.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/matrix_load.h"
#include "kernels/cuda/simt/memory.h"
#include "kernels/cuda/simt/mma.h"
#include "kernels/cuda/simt/shuffle.h"
#include "kernels/cuda/simt/types.h"

namespace mfs::core::MFS_SIMT_BACKEND {

using namespace mfs::core::simt;

MFS_KERNEL void shuffle_conformance(uint32_t* out) {
  const unsigned lane = lane_index(), value = lane * lane + 5;
  out[lane] = shuffle_up(value, 3);
  out[32 + lane] = shuffle_down(value, 3);
  out[64 + lane] = shuffle_xor(value, 11);
  out[96 + lane] = shuffle_from(value, lane * 7 + 40);
  out[128 + lane] = vote_ballot(value % 3 == 0);
  out[160 + lane] = (vote_all(value > 4) ? 1u : 0u) + (vote_any(value == 6) ? 2u : 0u) + (vote_any(value == 7) ? 4u : 0u);
}

MFS_KERNEL void atomic_conformance(uint32_t* counters, float* sum) {
  atomic_add(counters, thread_index().x);
  atomic_max(counters + 1, thread_index().x * 3);
  atomic_compare_exchange(counters + 2, thread_index().x == 9 ? 0u : 1u << 31, 77);
  atomic_add_release(counters + 3, 1);
  atomic_add(sum, 0.5f);
}

template <int kTiles, bool kTransposed>
MFS_KERNEL void load_matrix_conformance(const uint32_t* in, uint32_t* out) {
  uint32_t* tile = reinterpret_cast<uint32_t*>(shared_memory());
  const unsigned lane = lane_index();
  for (unsigned i = 0; i < 4; ++i) tile[lane * 4 + i] = in[lane * 4 + i];
  sync_warp();
  uint32_t r[kTiles];
  load_matrix<kTiles, kTransposed>(r, tile + lane % (8 * kTiles) * 4);
  for (int i = 0; i < kTiles; ++i) out[i * 32 + lane] = r[i];
}

template <int kTiles, bool kTransposed>
MFS_KERNEL void store_matrix_conformance(const uint32_t* in, uint32_t* out) {
  uint32_t* tile = reinterpret_cast<uint32_t*>(shared_memory());
  const unsigned lane = lane_index();
  uint32_t r[kTiles];
  for (int i = 0; i < kTiles; ++i) r[i] = in[i * 32 + lane];
  store_matrix<kTiles, kTransposed>(tile + lane % (8 * kTiles) * 4, r);
  sync_warp();
  for (unsigned i = lane; i < 32 * kTiles; i += 32) out[i] = tile[i];
}

// in: a as 16 rows of 32 bytes, b as 8 columns of 32 bytes. d starts at the element's index.
template <class T>
MFS_KERNEL void mma_conformance(const uint32_t* in, Accumulator<T>* out) {
  const unsigned lane = lane_index(), g = lane / 4, q = lane % 4;
  uint32_t a[4], b[2];
  Accumulator<T> d[4];
  for (unsigned r = 0; r < 4; ++r) a[r] = in[(g + 8 * (r % 2)) * 8 + q + 4 * (r / 2)];
  for (unsigned r = 0; r < 2; ++r) b[r] = in[(16 + g) * 8 + q + 4 * r];
  for (unsigned i = 0; i < 4; ++i) d[i] = static_cast<Accumulator<T>>((g + 8 * (i / 2)) * 8 + 2 * q + i % 2);
  mma<T>(d, a, b);
  for (unsigned i = 0; i < 4; ++i) out[(g + 8 * (i / 2)) * 8 + 2 * q + i % 2] = d[i];
}

template <int kBytes>
MFS_KERNEL void copy_async_conformance(const unsigned char* in, unsigned char* out) {
  const unsigned t = thread_index().x;
  unsigned char* tile = shared_memory();
  copy_async<kBytes>(tile + t * kBytes, in + t * kBytes, t % (kBytes + 1));
  copy_async_commit();
  copy_async<kBytes>(tile + (32 + t) * kBytes, in + (32 + t) * kBytes);
  copy_async_commit();
  copy_async_wait<1>();
  sync_block();
  for (unsigned i = t; i < 32 * kBytes; i += 32) out[i] = tile[i];
  copy_async_wait<0>();
  sync_block();
  for (unsigned i = t; i < 32 * kBytes; i += 32) out[32 * kBytes + i] = tile[32 * kBytes + i];
}

}  // namespace mfs::core::MFS_SIMT_BACKEND
