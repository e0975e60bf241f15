// What a kernel launch is made of, and the limits of the hardware that both builds check before every launch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/status.h"

namespace mfs::core::simt {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  friend bool operator==(const Dim3&, const Dim3&) = default;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

inline constexpr size_t kMaxSharedBytes = 232448;  // per block, sm_90 with opt-in
inline constexpr unsigned kMaxThreads = 1024;
inline constexpr unsigned kMaxClusterBlocks = 8;  // the portable limit
inline constexpr unsigned kRegistersPerSm = 65536;

struct LaunchShape {
  const char* name = nullptr;  // for error messages and profiles: "upsample 1x64x64x512 f16"
  Dim3 grid{}, block{}, cluster{};
  size_t shared_bytes = 0;
  bool programmatic = false;          // may start before the previous kernel of the stream has finished (griddepcontrol)
  bool cooperative = false;           // all blocks resident at once: the kernel has grid barriers
  unsigned registers_per_thread = 0;  // what the kernel was compiled to (__launch_bounds__); 0: as many as fit
};

// Every host-side limit, in words. Called by launch() in both builds.
Status check(const LaunchShape& shape);

}  // namespace mfs::core::simt
