// What the CUDA kernels of NHWC tensors share: element types, vectors of channels, grids over all of them.
//
// A kernel works on kWidth neighbouring channels at a time: 8 (16 bytes) where channels, pitches and addresses allow it,
// else 1.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/launch.h"
#include "kernels/cuda/simt/memory.h"
#include "kernels/cuda/simt/programmatic_launch.h"
#include "kernels/cuda/simt/shuffle.h"
#include "kernels/cuda/simt/types.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

inline constexpr int kVectorWidth = 8;

template <class T>
MFS_DEVICE T rounded(float value) {
  if constexpr (std::is_same_v<T, simt::Half>) return simt::to_half(value);
  if constexpr (std::is_same_v<T, simt::BFloat16>) return simt::to_bfloat16(value);
  if constexpr (std::is_same_v<T, float>) return value;
}

template <class T>
MFS_DEVICE float widened(uint32_t bits) {
  return simt::to_float(simt::bits_as<T>(static_cast<uint16_t>(bits)));
}

template <class T>
MFS_DEVICE uint32_t packed(float low, float high) {
  return uint32_t{simt::bits_as<uint16_t>(rounded<T>(low))} | uint32_t{simt::bits_as<uint16_t>(rounded<T>(high))} << 16;
}

// A step of int8 activations: to nearest, ties to even, clamped to 0..255; a NaN becomes 0. Between 2^23 and 2^24 a float's
// last bit is worth one: the sum is rounded as wanted, and its low bits are the result.
MFS_DEVICE uint32_t rounded_step(float value) {
  const float positive = value > 0 ? value : 0.0f;
  return simt::bits_as<uint32_t>((positive < 255 ? positive : 255.0f) + 0x1p23f) & 0xff;
}

// Two narrow activations of type T, uint8_t or E4m3, in the low 16 bits.
template <class T>
MFS_DEVICE uint32_t narrowed(float low, float high) {
  if constexpr (std::is_same_v<T, uint8_t>) return rounded_step(low) | rounded_step(high) << 8;
  return simt::to_e4m3_pair(low, high);
}

// kWidth neighbouring channels as floats; T is Half or BFloat16.
template <int kWidth, class T>
MFS_DEVICE void load_channels(const T* p, float (&v)[kWidth]) {
  if constexpr (kWidth == kVectorWidth) {
    const simt::U32x4 bits = simt::load(reinterpret_cast<const simt::U32x4*>(p));
    const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
    MFS_UNROLL
    for (int i = 0; i < 4; ++i) {
      v[2 * i] = widened<T>(words[i] & 0xffff);
      v[2 * i + 1] = widened<T>(words[i] >> 16);
    }
  } else {
    static_assert(kWidth == 1);
    v[0] = simt::to_float(simt::load(p));
  }
}

template <int kWidth, class T>
MFS_DEVICE void store_channels(T* p, const float (&v)[kWidth]) {
  if constexpr (kWidth == kVectorWidth) {
    const simt::U32x4 bits{packed<T>(v[0], v[1]), packed<T>(v[2], v[3]), packed<T>(v[4], v[5]), packed<T>(v[6], v[7])};
    simt::store(reinterpret_cast<simt::U32x4*>(p), bits);
  } else {
    static_assert(kWidth == 1);
    simt::store(p, rounded<T>(v[0]));
  }
}

// f32 neighbours of feature maps: gates, partial sums, priors.
template <int kWidth>
MFS_DEVICE void load_channels(const float* p, float (&v)[kWidth]) {
  if constexpr (kWidth == kVectorWidth) {
    MFS_UNROLL
    for (int i = 0; i < kWidth; i += 4) {
      const simt::F32x4 four = simt::load(reinterpret_cast<const simt::F32x4*>(p + i));
      v[i] = four.x, v[i + 1] = four.y, v[i + 2] = four.z, v[i + 3] = four.w;
    }
  } else {
    static_assert(kWidth == 1);
    v[0] = simt::load(p);
  }
}

template <int kWidth>
MFS_DEVICE void store_channels(float* p, const float (&v)[kWidth]) {
  if constexpr (kWidth == kVectorWidth) {
    MFS_UNROLL
    for (int i = 0; i < kWidth; i += 4)
      simt::store(reinterpret_cast<simt::F32x4*>(p + i), simt::F32x4{v[i], v[i + 1], v[i + 2], v[i + 3]});
  } else {
    static_assert(kWidth == 1);
    simt::store(p, v[0]);
  }
}

inline simt::Queue stream_of(const Cuda& cuda) { return {static_cast<simt::Stream>(cuda.stream), cuda.programmatic}; }

// Whether all of these can be read and written 16 bytes at a time. Views without data (an absent residual) do not count.
inline bool vectorises(std::initializer_list<View> views) {
  for (const View& v : views) {
    if (!v) continue;
    if (v.shape.c % kVectorWidth != 0 || v.pitch % kVectorWidth != 0) return false;
    if (reinterpret_cast<std::uintptr_t>(v.data) % 16 != 0) return false;
  }
  return true;
}

// body.template operator()<T, kWidth>() with T = Half or BFloat16. check() has refused everything else but f32.
template <class Body>
Status with_device_type(const char* operation, DType dtype, bool vectors, const Body& body) {
  if (dtype == DType::kF16)
    return vectors ? body.template operator()<simt::Half, kVectorWidth>() : body.template operator()<simt::Half, 1>();
  if (dtype == DType::kBF16)
    return vectors ? body.template operator()<simt::BFloat16, kVectorWidth>() : body.template operator()<simt::BFloat16, 1>();
  return refuse(operation, "feature maps on the GPU are f16 or bf16, not f32");
}

// One thread for each of `items`.
inline simt::LaunchShape threads_for(const char* name, std::int64_t items, unsigned block = 256) {
  simt::LaunchShape shape;
  shape.name = name;
  shape.grid = {static_cast<unsigned>((items + block - 1) / block), 1, 1};
  shape.block = {block, 1, 1};
  return shape;
}

// Threads for so many items: a power of two, at most `most`, which is one as well.
inline unsigned threads_of_block(int items, unsigned most) {
  unsigned threads = 1;
  while (threads < most && threads < static_cast<unsigned>(items)) threads *= 2;
  return threads;
}

// Blocks of that many columns that cover all channels of a pixel.
inline uint32_t channel_chunks(int vectors, unsigned columns) {
  return (static_cast<uint32_t>(vectors) + columns - 1) / columns;
}

// Kernels count their items in 32 bits: division by a 64-bit number costs more than the rest of them.
inline Status check_items(const char* operation, std::int64_t items) {
  if (items <= std::numeric_limits<std::int32_t>::max()) return {};
  return refuse(operation, "the tensor is too large for 32-bit indices");
}

// Of a one-dimensional grid of one-dimensional blocks.
MFS_DEVICE uint32_t global_thread() { return simt::block_index().x * simt::block_size().x + simt::thread_index().x; }

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
