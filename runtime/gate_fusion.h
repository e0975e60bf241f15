// Convolutions and the squeeze-and-excitation behind them as one kernel.
#pragma once

#include "kernels/backend.h"
#include "kernels/conv_gate.h"
#include "runtime/lowered.h"

namespace mfs::core {

// Every convolution that writes sums (see add_sums) and the SqueezeExciteStep that reads them, alone and next, become a
// ConvGateStep, where the GPU has a kernel for them (kernels/conv_gate.h). What is between loses its name. Not beside another
// stream: the kernel starts when the whole GPU is free. Buffers must not be shared yet.
void fuse_gates(Lowered& network, const Cuda& cuda);

// The kernel's problem.
ConvGate gate_of(const ConvGateStep& step, const Lowered& network);

}  // namespace mfs::core
