// What TMA and clusters do with mbarriers and with shared memory of other blocks.
#pragma once

#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt::emulation {

MBarrier& find_mbarrier(const uint64_t* barrier, const char* what, const Site& site);
void deliver(MBarrier& barrier, const AsyncAgent& agent, size_t bytes);  // bytes of a TMA operation have arrived

// The same place in the shared memory of block `rank` of this cluster.
void* remote_address(const void* p, uint32_t rank, const char* what, const Site& site);

}  // namespace mfs::core::simt::emulation
