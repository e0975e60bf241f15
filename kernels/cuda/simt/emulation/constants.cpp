#include "kernels/cuda/simt/emulation/constants.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>

namespace mfs::core::simt::emulation {
namespace {

// Of all machines: weights are shared by sessions in several threads.
struct Constants {
  std::mutex mutex;
  std::map<uintptr_t, uintptr_t> ends;  // by beginning
};

Constants& constants() {
  static Constants all;
  return all;
}

uintptr_t address(const void* p) { return reinterpret_cast<uintptr_t>(p); }

}  // namespace

void declare_constant(const void* begin, size_t bytes) {
  Constants& c = constants();
  const std::lock_guard lock(c.mutex);
  uintptr_t& end = c.ends[address(begin)];
  if (end < address(begin) + bytes) end = address(begin) + bytes;
}

void forget_constants(const void* begin, size_t bytes) {
  Constants& c = constants();
  const std::lock_guard lock(c.mutex);
  auto first = c.ends.lower_bound(address(begin));
  if (first != c.ends.begin() && std::prev(first)->second > address(begin)) --first;
  c.ends.erase(first, c.ends.lower_bound(address(begin) + bytes));
}

bool is_constant(const void* p, size_t bytes) {
  Constants& c = constants();
  const std::lock_guard lock(c.mutex);
  const auto after = c.ends.upper_bound(address(p));
  return after != c.ends.begin() && address(p) + bytes <= std::prev(after)->second;
}

}  // namespace mfs::core::simt::emulation
