// Elements of the matrix instructions, widened exactly.
#pragma once

#include <cstddef>

#include "kernels/cuda/simt/types.h"

namespace mfs::core::simt::emulation {

// `count` elements that lie next to each other, of type Half, BFloat16, E4m3, int8_t or uint8_t.
template <class T>
void widen(const unsigned char* elements, size_t count, double* to);

}  // namespace mfs::core::simt::emulation
