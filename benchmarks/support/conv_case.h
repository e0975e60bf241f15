// How a convolution is measured: ours next to a vendor's library.
#pragma once

#include "benchmarks/support/bench.h"
#include "kernels/conv.h"

namespace mfs::bench {

// Whether the device has such convolutions.
inline bool can_measure(const Cpu& cpu, const Conv& problem) { return has_conv(cpu, problem.dtype); }
inline bool can_measure(const Cuda& cuda, const Conv& problem) {
  constexpr int kNarrowChannels = 16;  // a multiple, in narrow types
  return has_conv(cuda, problem.dtype) &&
         (!is_narrow(problem.dtype) || (problem.src.c % kNarrowChannels == 0 && problem.dst.c % kNarrowChannels == 0));
}

// Next to oneDNN. Both stay on one set of tensors: in the network, too, the source was written just before.
void measure_conv(Bench<Cpu>& bench, const Conv& problem, int count);

// Next to the best that cuDNN's and cuBLASLt's heuristics propose, in a CUDA graph like ours. Tensors and weights are rotated:
// a network's weights do not fit into the L2. Narrow problems have no peer yet; sums with a shortcut are f16 and written once
// more, narrow, as in the network.
void measure_conv(Bench<Cuda>& bench, const Conv& problem, int count);

}  // namespace mfs::bench
