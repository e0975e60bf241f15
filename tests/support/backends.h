// Where a test runs its operation.
#pragma once

#include <array>

#include "kernels/backend.h"

namespace mfs::core::test {

// One thread, two, and a number that divides nothing evenly.
inline constexpr std::array<Cpu, 3> kBackends{Cpu{1}, Cpu{2}, Cpu{3}};

}  // namespace mfs::core::test
