// device.h for the emulator: one device whose memory is the host's, streams that are emulated machines. As on hardware, copies
// and events wait for their turn in the stream, and what a capture forbids fails during one.
#include "kernels/cuda/device.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/device_scope.h"
#include "kernels/cuda/simt/emulation/constants.h"
#include "kernels/cuda/simt/emulation/device_calls.h"
#include "kernels/cuda/simt/emulation/machine.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

using namespace simt::emulation;
using Clock = std::chrono::steady_clock;

Machine& machine_of(const Cuda& cuda) { return *static_cast<Machine*>(cuda.stream); }

struct RecordedWork {
  std::vector<Machine::Work> items;
};

// Of the calling thread, as in CUDA's thread-local mode of capturing.
std::vector<const void*>& captured_streams() {
  static thread_local std::vector<const void*> streams;
  return streams;
}

Status refuse_in_capture(const char* what) {
  if (captured_streams().empty()) return {};
  return {Code::kInternal, std::string("CUDA could not ") + what + ": operation not permitted when stream is capturing"};
}

void require(const Status& s) {
  if (!s) throw Error(s.code(), s.message());
}

// Something other than a kernel, in the stream's order.
void enqueue(const Cuda& cuda, const char* name, std::function<void()> body) {
  simt::LaunchShape one;
  one.name = name;
  machine_of(cuda).enqueue(one, std::move(body));
}

struct FailingAllocation {
  long countdown = -1;
  bool all = false;
};
FailingAllocation failing;

bool allocation_fails() {
  if (failing.countdown < 0) return false;
  if (failing.countdown > 0) return --failing.countdown, false;
  if (!failing.all) failing.countdown = -1;
  return true;
}

}  // namespace

namespace simt::emulation {

DeviceCalls& device_calls() {
  static DeviceCalls calls;
  return calls;
}

int& device_capability() {
  static int capability = 80;
  return capability;
}

void fail_device_allocation(long nth, bool all) { failing = {nth, all}; }

}  // namespace simt::emulation

std::vector<CudaDeviceInfo> cuda_devices(std::string&) {
  return {{0, "emulated GPU", simt::emulation::device_capability(), 4, std::size_t{1} << 32}};
}

Status select_device(int) { return {}; }

CudaDeviceScope::CudaDeviceScope(int) {}
CudaDeviceScope::~CudaDeviceScope() = default;

CudaMemory::CudaMemory(MemoryKind, std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  require(refuse_in_capture("allocate"));
  ++device_calls().allocations;
  constexpr std::size_t kAlignment = 256;
  void* p = allocation_fails() ? nullptr : std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (!p) throw Error(Code::kOutOfMemory, "no memory for " + std::to_string(bytes) + " bytes");
  std::memset(p, 0xff, bytes);  // NaN
  data_ = {static_cast<std::byte*>(p), [](std::byte* d) {
             forget_constants(d, malloc_usable_size(d));
             ++device_calls().frees;
             std::free(d);
           }};
}

Status upload(void* to_device, const void* from, std::size_t bytes) {
  if (Status s = refuse_in_capture("copy to the device"); !s) return s;
  ++device_calls().uploads;
  std::memcpy(to_device, from, bytes);
  declare_constant(to_device, bytes);
  return {};
}

Status copy_to_device(const Cuda& cuda, void* to, const void* from_pinned, std::size_t bytes) {
  ++device_calls().copies;
  enqueue(cuda, "copy", [=] { std::memcpy(to, from_pinned, bytes); });
  return {};
}

Status copy_to_host(const Cuda& cuda, void* to_pinned, const void* from, std::size_t bytes) {
  return copy_to_device(cuda, to_pinned, from, bytes);
}

Status wait(const Cuda& cuda) {
  if (Status s = refuse_in_capture("finish"); !s) return s;
  ++device_calls().synchronizations;
  return machine_of(cuda).synchronize();
}

CudaStream::CudaStream() : stream_(new Machine, [](void* m) { delete static_cast<Machine*>(m); }) {}

bool is_captured(const Cuda& cuda) { return std::ranges::count(captured_streams(), cuda.stream) > 0; }

CudaGraph::CudaGraph(const Cuda& cuda, const std::function<Status()>& record) {
  require(wait(cuda));
  ++device_calls().graphs_made;
  captured_streams().push_back(cuda.stream);
  const Status recorded = record();
  captured_streams().pop_back();
  auto work = std::make_shared<RecordedWork>(RecordedWork{machine_of(cuda).take_queue()});
  require(recorded);
  graph_ = std::move(work);
}

Status CudaGraph::launch(const Cuda& cuda) const {
  if (is_captured(cuda)) return refuse_in_capture("launch a graph");
  ++device_calls().graphs_launched;
  for (const Machine::Work& k : static_cast<RecordedWork*>(graph_.get())->items) machine_of(cuda).enqueue(k.shape, k.body);
  return {};
}

CudaEvent::CudaEvent() : event_(new Clock::time_point, [](void* t) { delete static_cast<Clock::time_point*>(t); }) {}

Status CudaEvent::record(const Cuda& cuda) const {
  enqueue(cuda, "event", [to = static_cast<Clock::time_point*>(event_.get())] { *to = Clock::now(); });
  return {};
}

double CudaEvent::milliseconds_since(const CudaEvent& earlier) const {
  const auto at = [](const CudaEvent& e) { return *static_cast<Clock::time_point*>(e.event_.get()); };
  return std::chrono::duration<double, std::milli>(at(*this) - at(earlier)).count();
}

}  // namespace mfs::core
