// Memory that the host fills while planning and that no kernel writes: weights. A kernel launched programmatically may read it,
// and nothing else in global memory, before griddepcontrol.wait.
#pragma once

#include <cstddef>

namespace mfs::core::simt::emulation {

void declare_constant(const void* begin, size_t bytes);
void forget_constants(const void* begin, size_t bytes);  // the memory is freed
bool is_constant(const void* p, size_t bytes);

}  // namespace mfs::core::simt::emulation
