// Whether sm_90a code is there and runs: in builds with a target 9.0 (MFS_HAVE_HOPPER), on capability 9.0 and no other.
#pragma once

#include "kernels/backend.h"

namespace mfs::core {

inline bool has_hopper(const Cuda& cuda) { return MFS_HAVE_HOPPER && cuda.capability == 90; }

}  // namespace mfs::core
