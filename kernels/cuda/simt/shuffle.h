// Exchange between the lanes of a warp: shuffles, votes, reductions. All lanes of `mask` take part at one call site.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

enum class ShuffleMode { kUp, kDown, kXor, kIndex };

#if MFS_SIMT_HARDWARE

template <ShuffleMode kMode>
MFS_DEVICE uint32_t shuffle_bits(uint32_t value, unsigned lane, uint32_t mask) {
  uint32_t result;
  if constexpr (kMode == ShuffleMode::kUp) {
    asm volatile("shfl.sync.up.b32 %0, %1, %2, 0, %3;" : "=r"(result) : "r"(value), "r"(lane), "r"(mask) : "memory");
  } else if constexpr (kMode == ShuffleMode::kDown) {
    asm volatile("shfl.sync.down.b32 %0, %1, %2, 31, %3;" : "=r"(result) : "r"(value), "r"(lane), "r"(mask) : "memory");
  } else if constexpr (kMode == ShuffleMode::kXor) {
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, %3;" : "=r"(result) : "r"(value), "r"(lane), "r"(mask) : "memory");
  } else {
    asm volatile("shfl.sync.idx.b32 %0, %1, %2, 31, %3;" : "=r"(result) : "r"(value), "r"(lane), "r"(mask) : "memory");
  }
  return result;
}
MFS_DEVICE uint32_t vote_ballot(bool predicate, uint32_t mask = 0xffffffffu) {
  uint32_t result;
  asm volatile("{\n.reg .pred p;\nsetp.ne.u32 p, %1, 0;\nvote.sync.ballot.b32 %0, p, %2;\n}"
               : "=r"(result)
               : "r"(static_cast<uint32_t>(predicate)), "r"(mask)
               : "memory");
  return result;
}
#define MFS_SIMT_SITE_PARAMETER
#define MFS_SIMT_SITE_ARGUMENT

#else

uint32_t shuffle_bits(ShuffleMode mode, uint32_t value, unsigned lane, uint32_t mask, Site site);
uint32_t vote_ballot(bool predicate, uint32_t mask = 0xffffffffu, Site site = Site::current());

template <ShuffleMode kMode>
uint32_t shuffle_bits(uint32_t value, unsigned lane, uint32_t mask, Site site) {
  return shuffle_bits(kMode, value, lane, mask, site);
}
#define MFS_SIMT_SITE_PARAMETER , Site site = Site::current()
#define MFS_SIMT_SITE_ARGUMENT , site

#endif

template <class To, class From>
MFS_DEVICE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

// T: any 4-byte type. Lanes past the end keep their own value (up, down).
#define MFS_SIMT_SHUFFLE(name, mode)                                                                    \
  template <class T>                                                                                    \
  MFS_DEVICE T name(T value, unsigned lane, uint32_t mask = 0xffffffffu MFS_SIMT_SITE_PARAMETER) {      \
    return bits_as<T>(shuffle_bits<mode>(bits_as<uint32_t>(value), lane, mask MFS_SIMT_SITE_ARGUMENT)); \
  }
MFS_SIMT_SHUFFLE(shuffle_up, ShuffleMode::kUp)
MFS_SIMT_SHUFFLE(shuffle_down, ShuffleMode::kDown)
MFS_SIMT_SHUFFLE(shuffle_xor, ShuffleMode::kXor)
MFS_SIMT_SHUFFLE(shuffle_from, ShuffleMode::kIndex)
#undef MFS_SIMT_SHUFFLE

MFS_DEVICE bool vote_all(bool predicate, uint32_t mask = 0xffffffffu MFS_SIMT_SITE_PARAMETER) {
  return vote_ballot(predicate, mask MFS_SIMT_SITE_ARGUMENT) == mask;
}
MFS_DEVICE bool vote_any(bool predicate, uint32_t mask = 0xffffffffu MFS_SIMT_SITE_PARAMETER) {
  return vote_ballot(predicate, mask MFS_SIMT_SITE_ARGUMENT) != 0;
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
