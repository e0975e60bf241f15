// The emulated GPU of a program is a Hopper.
#include "kernels/cuda/simt/emulation/device_calls.h"

namespace {

const int kCapability = mfs::core::simt::emulation::device_capability() = 90;

}  // namespace
