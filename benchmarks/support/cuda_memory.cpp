#include "benchmarks/support/rotating.h"
#include "kernels/cuda/device.h"
#include "kernels/error.h"

namespace mfs::bench {

using namespace core;  // NOLINT: benchmarks are about nothing else

Memory::Memory(const Cuda&, std::size_t bytes) : size_(bytes) {
  auto memory = std::make_shared<CudaMemory>(MemoryKind::kDevice, bytes);
  data_ = {memory, memory->data()};
  write_ = [](void* to, const void* from, std::size_t n) {
    if (const Status s = upload(to, from, n); !s) throw Error(s.code(), s.message());
  };
}

}  // namespace mfs::bench
