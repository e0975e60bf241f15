// device.h for the emulator: one device whose memory is the host's, streams that are emulated machines.
#include "kernels/cuda/device.h"

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/simt/emulation/machine.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

using simt::emulation::Machine;
using Clock = std::chrono::steady_clock;

Machine& machine_of(const Cuda& cuda) { return *static_cast<Machine*>(cuda.stream); }

struct RecordedKernels {
  std::vector<Machine::Work> kernels;
};

}  // namespace

std::vector<CudaDeviceInfo> cuda_devices(std::string&) { return {{0, "emulated GPU", 80, 4, std::size_t{1} << 32}}; }

Status select_device(int) { return {}; }

CudaMemory::CudaMemory(MemoryKind, std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  constexpr std::size_t kAlignment = 256;
  void* p = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (!p) throw Error(Code::kOutOfMemory, "no memory for " + std::to_string(bytes) + " bytes");
  std::memset(p, 0xff, bytes);  // NaN
  data_ = {static_cast<std::byte*>(p), [](std::byte* d) { std::free(d); }};
}

Status upload(void* to_device, const void* from, std::size_t bytes) {
  std::memcpy(to_device, from, bytes);
  return {};
}

Status copy_to_device(const Cuda& cuda, void* to, const void* from_pinned, std::size_t bytes) {
  if (Status s = wait(cuda); !s) return s;
  std::memcpy(to, from_pinned, bytes);
  return {};
}

Status copy_to_host(const Cuda& cuda, void* to_pinned, const void* from, std::size_t bytes) {
  return copy_to_device(cuda, to_pinned, from, bytes);
}

Status wait(const Cuda& cuda) { return machine_of(cuda).synchronize(); }

CudaStream::CudaStream() : stream_(new Machine, [](void* m) { delete static_cast<Machine*>(m); }) {}

bool is_captured(const Cuda&) { return false; }

CudaGraph::CudaGraph(const Cuda& cuda, const std::function<Status()>& record) {
  if (const Status s = wait(cuda); !s) throw Error(s.code(), s.message());
  const Status recorded = record();
  auto kernels = std::make_shared<RecordedKernels>(RecordedKernels{machine_of(cuda).take_queue()});
  if (!recorded) throw Error(recorded.code(), recorded.message());
  graph_ = std::move(kernels);
}

Status CudaGraph::launch(const Cuda& cuda) const {
  for (const Machine::Work& k : static_cast<RecordedKernels*>(graph_.get())->kernels) machine_of(cuda).enqueue(k.shape, k.body);
  return {};
}

CudaEvent::CudaEvent() : event_(new Clock::time_point, [](void* t) { delete static_cast<Clock::time_point*>(t); }) {}

Status CudaEvent::record(const Cuda& cuda) const {
  *static_cast<Clock::time_point*>(event_.get()) = Clock::now();
  return wait(cuda);
}

double CudaEvent::milliseconds_since(const CudaEvent& earlier) const {
  const auto at = [](const CudaEvent& e) { return *static_cast<Clock::time_point*>(e.event_.get()); };
  return std::chrono::duration<double, std::milli>(at(*this) - at(earlier)).count();
}

}  // namespace mfs::core
