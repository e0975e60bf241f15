// What a kernel needs to know about where it runs.
#pragma once

namespace mfs::core {

// Host execution on `threads` OpenMP threads, the calling one included.
struct Cpu {
  int threads = 1;
};

// Which kernels a convolution may choose among. kBest: all of them; the others are for tests and measurements. A family that
// cannot do a problem leaves it to the portable one.
enum class ConvFamily { kBest, kPortable, kHopper };

struct HopperTable;  // kernels/cuda/conv_hopper_tuned.h

// A CUDA device, from the stream on which everything is queued: nothing waits, nothing allocates, all of it may be captured in
// a CUDA graph. Pointers in operations are device pointers.
struct Cuda {
  void* stream = nullptr;     // cudaStream_t; in emulation, the machine that stands in for the GPU (kernels/cuda/simt)
  int multiprocessors = 132;  // SMs, for the choice of tiles and splits
  int capability = 80;        // 10 x major + minor
  int shared_per_multiprocessor = 164 << 10;  // bytes of shared memory, for the choice of tiles
  ConvFamily convolutions = ConvFamily::kBest;
  // Kernels may start while the one before still runs, and wait for it themselves (programmatic dependent launch; in
  // code for capability 9.0 and newer). Not for the first kernel after anything but a kernel of ours.
  bool programmatic = false;
  const HopperTable* tuned = nullptr;  // measured choices; null: those that the library brings along
};

}  // namespace mfs::core
