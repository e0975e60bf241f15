#include <cstdlib>
#include <limits>

#include "tests/support/backends.h"
#include "tests/support/memory.h"

namespace mfs::core::test {

const std::vector<Backend>& backends() {
  constexpr auto kAny = std::numeric_limits<std::int64_t>::max();
  static const std::vector<Backend> all{{"1 thread", Cpu{1}, kAny}, {"2 threads", Cpu{2}, kAny}, {"3 threads", Cpu{3}, kAny}};
  return all;
}

Status finish(const Backend&) { return {}; }

void* allocate(std::size_t bytes) { return std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment); }
void release(void* p) { std::free(p); }

}  // namespace mfs::core::test
