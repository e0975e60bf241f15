// Makes this thread's earlier writes to its block's shared memory, and those it knows of, visible to the async proxy: between
// ordinary writes and the TMA store or wgmma that reads them, or the TMA load that overwrites them.
#pragma once

#include "kernels/cuda/simt/platform.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#if MFS_SIMT_HARDWARE
MFS_DEVICE void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
#else
void fence_proxy_async();
#endif

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
