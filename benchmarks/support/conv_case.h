// How a convolution is measured: ours next to a vendor's library.
#pragma once

#include "benchmarks/support/bench.h"
#include "kernels/conv.h"

namespace mfs::bench {

// Next to oneDNN. Both stay on one set of tensors: in the network, too, the source was written just before.
void measure_conv(Bench<Cpu>& bench, const Conv& problem, int count);

// Next to the best that cuDNN's and cuBLASLt's heuristics propose, in a CUDA graph like ours. Tensors and weights are rotated:
// a network's weights do not fit into the L2.
void measure_conv(Bench<Cuda>& bench, const Conv& problem, int count);

}  // namespace mfs::bench
