// Where a test runs its operation. A test program is made for one kind of backend: the CPU or, with MFS_TEST_CUDA, CUDA
// kernels, emulated or on a GPU. One list of cases serves all.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"
#include "tests/support/tensor.h"

namespace mfs::core::test {

#if MFS_TEST_CUDA
using Device = Cuda;
#else
using Device = Cpu;
#endif

struct Backend {
  const char* name;  // "2 threads", "emulated, late, seed 2"
  Device device;
  std::int64_t most_flops;  // of problems worth this backend's time

  bool takes(const Cost& cost) const { return cost.flops <= most_flops; }
};

inline doctest::String toString(const Backend& b) { return b.name; }

// Element types of feature maps.
#if MFS_TEST_CUDA
inline constexpr DType kDTypes[] = {DType::kF16, DType::kBF16};
#else
inline constexpr DType kDTypes[] = {DType::kF32, DType::kBF16};
#endif

// CPU: one thread, two, and a number that divides nothing evenly. Emulation: asynchronous operations complete early, late or at
// random times, threads take turns in three orders each.
const std::vector<Backend>& backends();

// Until everything queued is done; fails with what went wrong on the way.
Status finish(const Backend& backend);

template <typename Operation>
Status run(const Backend& backend, const Operation& operation) {
  if (Status s = run(backend.device, operation); !s) return s;
  return finish(backend);
}

template <typename Operation>
std::size_t scratch_bytes(const Backend& backend, const Operation& operation) {
  return scratch_bytes(backend.device, operation);
}

}  // namespace mfs::core::test
