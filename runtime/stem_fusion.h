// Convolutions of the photo and the pooling behind them as one kernel.
#pragma once

#include "kernels/backend.h"
#include "kernels/stem.h"
#include "runtime/lowered.h"

namespace mfs::core {

// The convolution that reads the network's input and the max poolings behind it become a StemStep, where the GPU has a kernel
// for them (kernels/stem.h) and nobody else reads what is between. Values between lose their names. Buffers must not be shared
// yet.
void fuse_stem(Lowered& network, const Cuda& cuda);

// The kernel's problem.
Stem stem_of(const StemStep& step, const Lowered& network);

}  // namespace mfs::core
