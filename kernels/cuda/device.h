// Devices, memory, copies and graphs, without CUDA's headers: the executor is ordinary C++. Two bodies: device.cu for hardware,
// simt/emulation/device.cpp for the emulator.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/status.h"

namespace mfs::core {

struct CudaDeviceInfo {
  int index = 0;  // of CUDA's runtime
  std::string name;
  int capability = 0, multiprocessors = 0;
  std::size_t memory = 0;  // bytes
  std::size_t l2_bytes = std::size_t{4} << 20;
  int shared_per_multiprocessor = 164 << 10;  // bytes of shared memory
  int clock_khz = 0, memory_clock_khz = 0;    // at most
  bool programmatic = false;                  // kernels can be launched programmatically, in graphs, too
};

// The devices that the kernels run on (capability 8.0 and up); if there are none, `why_none` says why, as part of a sentence.
std::vector<CudaDeviceInfo> cuda_devices(std::string& why_none);

// Whether this build's kernels, in the code that the current device loads, wait for the kernel before: what programmatic
// launches rest on.
bool kernels_wait();

// Makes a device the calling thread's; everything below and every kernel launch refers to it.
Status select_device(int index);

// Bytes on the current device, or of the host where the device can reach them by itself ("pinned"). 256-byte aligned.
enum class MemoryKind { kDevice, kPinned };

class CudaMemory {
 public:
  CudaMemory() = default;
  CudaMemory(MemoryKind kind, std::size_t bytes);  // throws Error(kOutOfMemory)
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte, void (*)(std::byte*)> data_{nullptr, nullptr};
  std::size_t size_ = 0;
};

// Copies to the device and waits until it is there; any host memory. For planning.
Status upload(void* to_device, const void* from, std::size_t bytes);

// Queued; the host's side is pinned memory and stays untouched until the stream has come this far.
Status copy_to_device(const Cuda&, void* to, const void* from_pinned, std::size_t bytes);
Status copy_to_host(const Cuda&, void* to_pinned, const void* from, std::size_t bytes);
// Until everything queued is done.
Status wait(const Cuda&);

// A stream of our own on the current device.
class CudaStream {
 public:
  CudaStream();  // throws Error
  Cuda on(const CudaDeviceInfo& device) const {
    return {stream_.get(), device.multiprocessors, device.capability, device.shared_per_multiprocessor};
  }

 private:
  std::unique_ptr<void, void (*)(void*)> stream_{nullptr, nullptr};
};

// Whether the stream is being captured into a graph, by a caller of the library.
bool is_captured(const Cuda&);

// What `record` queues, recorded once to be queued as a whole. Must not be launched in a captured stream.
class CudaGraph {
 public:
  CudaGraph() = default;
  CudaGraph(const Cuda&, const std::function<Status()>& record);  // throws Error
  explicit operator bool() const { return graph_ != nullptr; }
  Status launch(const Cuda&) const;

 private:
  std::shared_ptr<void> graph_;
};

// A moment in a stream.
class CudaEvent {
 public:
  CudaEvent();  // throws Error
  Status record(const Cuda&) const;
  // The same in a captured stream, where it is part of the graph: the moment is that of the graph's last run.
  Status record_in_graph(const Cuda&) const;
  // What is queued there from now on comes after it. An event of a captured stream makes the other one part of that capture,
  // until it ends; before, the first one must wait for the last work of the other.
  Status wait_in(const Cuda&) const;
  double milliseconds_since(const CudaEvent& earlier) const;  // both reached

 private:
  std::unique_ptr<void, void (*)(void*)> event_{nullptr, nullptr};
};

}  // namespace mfs::core
