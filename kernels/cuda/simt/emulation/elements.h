// Elements of the matrix instructions, widened exactly.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/cuda/simt/types.h"

namespace mfs::core::simt::emulation {

template <class T>
double widen(const void* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  if constexpr (std::is_same_v<T, int8_t>) {
    return value;
  } else {
    return static_cast<double>(to_float(value));
  }
}

}  // namespace mfs::core::simt::emulation
