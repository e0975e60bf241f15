// Loads and stores of 1 to 16 bytes with cache hints, and copies of any size.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {

enum class Cache { kDefault, kStreaming };  // kStreaming: touched once, evicted first

#if !MFS_SIMT_HARDWARE
namespace emulation {
// x86 accepts misaligned accesses, the GPU does not.
void check_load(const void* p, size_t bytes, const Site& site);
void check_store(const void* p, size_t bytes, const Site& site);
}  // namespace emulation
#endif

inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE

// Through the read-only path: only for memory that nobody writes while the kernel runs.
template <Cache kCache = Cache::kDefault, class T>
MFS_DEVICE T load_constant(const T* p) {
  if constexpr (kCache == Cache::kStreaming) return __ldcs(p);
  return __ldg(p);
}
template <Cache kCache = Cache::kDefault, class T>
MFS_DEVICE T load(const T* p) {
  if constexpr (kCache == Cache::kStreaming) return __ldcs(p);
  return *p;
}
template <Cache kCache = Cache::kDefault, class T>
MFS_DEVICE void store(T* p, T value) {
  if constexpr (kCache == Cache::kStreaming) {
    __stcs(p, value);
  } else {
    *p = value;
  }
}
MFS_DEVICE void copy_bytes(void* to, const void* from, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) static_cast<unsigned char*>(to)[i] = static_cast<const unsigned char*>(from)[i];
}

#else

template <Cache = Cache::kDefault, class T>
T load_constant(const T* p, Site site = Site::current()) {
  emulation::check_load(p, sizeof(T), site);
  return *p;
}
template <Cache = Cache::kDefault, class T>
T load(const T* p, Site site = Site::current()) {
  emulation::check_load(p, sizeof(T), site);
  return *p;
}
template <Cache = Cache::kDefault, class T>
void store(T* p, T value, Site site = Site::current()) {
  emulation::check_store(p, sizeof(T), site);
  *p = value;
}
// Instead of memcpy, whose calls the race detector does not see.
void copy_bytes(void* to, const void* from, size_t bytes, Site site = Site::current());

#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
