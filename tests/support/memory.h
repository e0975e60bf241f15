// Memory that both the test and the backend can read and write.
#pragma once

#include <cstddef>

namespace mfs::core::test {

inline constexpr std::size_t kAlignment = 256;

void* allocate(std::size_t bytes);  // aligned to kAlignment
void release(void* p);

}  // namespace mfs::core::test
