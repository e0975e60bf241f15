// The end of the pyramid head as one kernel.
#pragma once

#include "kernels/backend.h"
#include "kernels/conv_head.h"
#include "runtime/lowered.h"

namespace mfs::core {

// The head's convolution and the PyramidHeadStep behind it become a ConvHeadStep, where the GPU has a kernel for them
// (kernels/conv_head.h). The logit is then in parts. What is between loses its name, and so does the logit. Buffers must not be
// shared yet.
void fuse_head(Lowered& network, const Cuda& cuda);

// The kernel's problem.
ConvHead head_of(const ConvHeadStep& step, const Lowered& network);

}  // namespace mfs::core
