// device.h for the emulator: one device whose memory is the host's, streams that are emulated machines. As on hardware, copies
// and events wait for their turn in the stream, and what a capture forbids fails during one.
#include "kernels/cuda/device.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>

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

// What was queued in one stream of a capture. A wait: `count` works of the branch `other` come before the work `before` of
// this.
struct Branch {
  struct Wait {
    size_t before, other, count;
  };
  Machine* machine;
  std::vector<Machine::Work> works;
  std::vector<Wait> waits;
};

// The first branch is that of the stream in which the capture began.
struct Capture {
  std::vector<Branch> branches;

  Branch* branch_of(const void* stream) {
    const auto found = std::ranges::find(branches, stream, &Branch::machine);
    return found == branches.end() ? nullptr : &*found;
  }
  // Whether the first branch waits for the end of every other one.
  bool joined() const {
    for (size_t b = 1; b < branches.size(); ++b) {
      const auto ends = [&](const Branch::Wait& w) { return w.other == b && w.count == branches[b].works.size(); };
      if (std::ranges::none_of(branches[0].waits, ends)) return false;
    }
    return true;
  }
};

// Of the calling thread, as in CUDA's thread-local mode of capturing; null: none.
std::shared_ptr<Capture>& capture() {
  static thread_local std::shared_ptr<Capture> under_way;
  return under_way;
}

// A moment in time or, of a captured stream, after `count` works of a branch.
struct EventState {
  Clock::time_point time;
  std::weak_ptr<Capture> captured;
  size_t branch = 0, count = 0;
};

EventState& state_of(void* event) { return *static_cast<EventState*>(event); }

// Calls `run` with every work once, in one of the orders that the waits allow: of the branches that can go on the first
// (kForward), the last (kReverse) or any (kRandom).
template <typename Run>
void run_in_order(const Capture& captured, const Options& options, const Run& run) {
  std::vector<size_t> done(captured.branches.size());
  std::mt19937 random(options.seed);
  for (;;) {
    std::vector<size_t> ready;
    for (size_t b = 0; b < done.size(); ++b) {
      const Branch& branch = captured.branches[b];
      const auto met = [&](const Branch::Wait& w) { return w.before > done[b] || done[w.other] >= w.count; };
      if (done[b] < branch.works.size() && std::ranges::all_of(branch.waits, met)) ready.push_back(b);
    }
    if (ready.empty()) return;
    size_t next = ready.front();
    if (options.order == Order::kReverse) next = ready.back();
    if (options.order == Order::kRandom) next = ready[random() % ready.size()];
    run(captured.branches[next].works[done[next]++]);
  }
}

Status failed(const char* what, const char* why) {
  return {Code::kInternal, std::string("CUDA could not ") + what + ": " + why};
}

Status refuse_in_capture(const char* what) {
  return capture() ? failed(what, "operation not permitted when stream is capturing") : Status{};
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

bool& device_code_waits() {
  static bool waits = true;
  return waits;
}

void fail_device_allocation(long nth, bool all) { failing = {nth, all}; }

}  // namespace simt::emulation

std::vector<CudaDeviceInfo> cuda_devices(std::string&) {
  return {{0, "emulated GPU", simt::emulation::device_capability(), 4, std::size_t{1} << 32}};
}

bool kernels_wait() { return simt::emulation::device_code_waits(); }

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

CudaStream::CudaStream() : stream_(new Machine, [](void* m) { delete static_cast<Machine*>(m); }) {
  ++device_calls().streams_made;
}

bool is_captured(const Cuda& cuda) { return capture() && capture()->branch_of(cuda.stream); }

CudaGraph::CudaGraph(const Cuda& cuda, const std::function<Status()>& record) {
  require(wait(cuda));
  ++device_calls().graphs_made;
  const auto captured = capture() = std::make_shared<Capture>(Capture{{{&machine_of(cuda), {}, {}}}});
  const Status recorded = record();
  capture().reset();
  for (Branch& b : captured->branches) b.works = b.machine->take_queue();
  require(recorded);
  if (!captured->joined()) throw Error(Code::kInternal, "CUDA could not end a graph: capturing stream has unjoined work");
  graph_ = captured;
}

Status CudaGraph::launch(const Cuda& cuda) const {
  if (is_captured(cuda)) return refuse_in_capture("launch a graph");
  ++device_calls().graphs_launched;
  Machine& machine = machine_of(cuda);
  run_in_order(*static_cast<Capture*>(graph_.get()), machine.options(),
               [&](const Machine::Work& w) { machine.enqueue(w.shape, w.body); });
  return {};
}

CudaEvent::CudaEvent() : event_(new EventState, [](void* e) { delete static_cast<EventState*>(e); }) {
  ++device_calls().events_made;
}

Status CudaEvent::record(const Cuda& cuda) const {
  EventState& event = state_of(event_.get());
  event.captured.reset();
  if (is_captured(cuda)) {
    const Branch* branch = capture()->branch_of(cuda.stream);
    event.captured = capture();
    event.branch = static_cast<size_t>(branch - capture()->branches.data());
    event.count = branch->machine->queued();
    return {};
  }
  return record_in_graph(cuda);
}

Status CudaEvent::record_in_graph(const Cuda& cuda) const {
  enqueue(cuda, "event", [&event = state_of(event_.get())] { event.time = Clock::now(); });
  return {};
}

Status CudaEvent::wait_in(const Cuda& cuda) const {
  const EventState& event = state_of(event_.get());
  if (!capture() || event.captured.lock() != capture())
    return failed("wait for an event", "the emulator does that only inside a capture");
  if (!is_captured(cuda)) {
    if (machine_of(cuda).queued() > 0) return failed("wait for an event", "the stream has work outside the capture");
    capture()->branches.push_back({&machine_of(cuda), {}, {}});
  }
  capture()->branch_of(cuda.stream)->waits.push_back({machine_of(cuda).queued(), event.branch, event.count});
  return {};
}

double CudaEvent::milliseconds_since(const CudaEvent& earlier) const {
  const auto at = [](const CudaEvent& e) { return state_of(e.event_.get()).time; };
  return std::chrono::duration<double, std::milli>(at(*this) - at(earlier)).count();
}

}  // namespace mfs::core
