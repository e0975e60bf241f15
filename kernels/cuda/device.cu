#include "kernels/cuda/device.h"

#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/cuda/device_scope.h"
#include "kernels/error.h"

namespace mfs::core {
namespace {

constexpr int kOldestCapability = MFS_CUDA_OLDEST;  // that this build has code for

Status status_of(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  const Code code = error == cudaErrorMemoryAllocation ? Code::kOutOfMemory : Code::kInternal;
  return {code, std::string("CUDA could not ") + what + ": " + cudaGetErrorString(error)};
}

void require(cudaError_t error, const char* what) {
  if (const Status s = status_of(error, what); !s) throw Error(s.code(), s.message());
}

// Compiled for the same targets as the kernels.
__global__ void any_kernel() {}

cudaStream_t stream_of(const Cuda& cuda) { return static_cast<cudaStream_t>(cuda.stream); }

}  // namespace

std::vector<CudaDeviceInfo> cuda_devices(std::string& why_none) {
  std::vector<CudaDeviceInfo> devices;
  int count = 0, driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    why_none = "there is no NVIDIA driver";
    return devices;
  }
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    cudaGetLastError();
    why_none = std::string("CUDA reports: ") + cudaGetErrorString(error);
    return devices;
  }
  why_none = "there is no CUDA device";
  constexpr int kGraphsKnowProgrammatic = 12030;
  const bool graphs_know = std::min(driver, CUDART_VERSION) >= kGraphsKnowProgrammatic;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p;
    if (cudaGetDeviceProperties(&p, i) != cudaSuccess) continue;
    const int capability = 10 * p.major + p.minor;
    if (capability >= kOldestCapability) {
      CudaDeviceInfo device{i, p.name, capability, p.multiProcessorCount, p.totalGlobalMem};
      device.l2_bytes = static_cast<std::size_t>(p.l2CacheSize);
      device.shared_per_multiprocessor = static_cast<int>(p.sharedMemPerMultiprocessor);
      cudaDeviceGetAttribute(&device.clock_khz, cudaDevAttrClockRate, i);
      cudaDeviceGetAttribute(&device.memory_clock_khz, cudaDevAttrMemoryClockRate, i);
      device.programmatic = capability >= 90 && graphs_know;
      devices.push_back(device);
    } else {
      why_none = std::string("the ") + p.name + " has compute capability " + std::to_string(p.major) + "." +
                 std::to_string(p.minor) + ", and this build needs " + std::to_string(kOldestCapability / 10) + "." +
                 std::to_string(kOldestCapability % 10);
    }
  }
  if (!devices.empty()) why_none.clear();
  return devices;
}

bool kernels_wait() {
  constexpr int kFirstWithWaits = 90;
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, any_kernel) == cudaSuccess && attributes.ptxVersion >= kFirstWithWaits;
}

Status select_device(int index) { return status_of(cudaSetDevice(index), "select the device"); }

CudaDeviceScope::CudaDeviceScope(int index) {
  int before = -1;
  if (status_ = status_of(cudaGetDevice(&before), "tell the current device"); !status_ || before == index) return;
  status_ = select_device(index);
  if (status_) before_ = before;
}

CudaDeviceScope::~CudaDeviceScope() {
  if (before_ >= 0) cudaSetDevice(before_);
}

CudaMemory::CudaMemory(MemoryKind kind, std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* p = nullptr;
  const std::string what = "allocate " + std::to_string(bytes) + " bytes";
  if (kind == MemoryKind::kDevice) {
    require(cudaMalloc(&p, bytes), what.c_str());
    data_ = {static_cast<std::byte*>(p), [](std::byte* d) { cudaFree(d); }};
  } else {
    require(cudaMallocHost(&p, bytes), what.c_str());
    data_ = {static_cast<std::byte*>(p), [](std::byte* d) { cudaFreeHost(d); }};
  }
}

Status upload(void* to_device, const void* from, std::size_t bytes) {
  if (Status s = status_of(cudaMemcpy(to_device, from, bytes, cudaMemcpyHostToDevice), "copy to the device"); !s) return s;
  // From pageable memory it may return before the last bytes have arrived, and our streams do not wait for its stream.
  return status_of(cudaStreamSynchronize(cudaStreamLegacy), "copy to the device");
}

Status copy_to_device(const Cuda& cuda, void* to, const void* from_pinned, std::size_t bytes) {
  return status_of(cudaMemcpyAsync(to, from_pinned, bytes, cudaMemcpyHostToDevice, stream_of(cuda)), "copy to the device");
}

Status copy_to_host(const Cuda& cuda, void* to_pinned, const void* from, std::size_t bytes) {
  return status_of(cudaMemcpyAsync(to_pinned, from, bytes, cudaMemcpyDeviceToHost, stream_of(cuda)), "copy from the device");
}

Status wait(const Cuda& cuda) { return status_of(cudaStreamSynchronize(stream_of(cuda)), "finish"); }

CudaStream::CudaStream() {
  cudaStream_t stream;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create a stream");
  stream_ = {stream, [](void* s) { cudaStreamDestroy(static_cast<cudaStream_t>(s)); }};
}

bool is_captured(const Cuda& cuda) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(stream_of(cuda), &status) == cudaSuccess && status == cudaStreamCaptureStatusActive;
}

CudaGraph::CudaGraph(const Cuda& cuda, const std::function<Status()>& record) {
  require(cudaStreamBeginCapture(stream_of(cuda), cudaStreamCaptureModeThreadLocal), "begin a graph");
  const Status recorded = record();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream_of(cuda), &graph);
  const std::shared_ptr<void> release(graph, [](void* g) {
    if (g) cudaGraphDestroy(static_cast<cudaGraph_t>(g));
  });
  if (!recorded) throw Error(recorded.code(), recorded.message());
  require(ended, "end a graph");
  cudaGraphExec_t executable;
  require(cudaGraphInstantiate(&executable, graph, 0), "prepare a graph");
  graph_ = std::shared_ptr<void>(executable, [](void* g) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(g)); });
}

Status CudaGraph::launch(const Cuda& cuda) const {
  return status_of(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph_.get()), stream_of(cuda)), "launch a graph");
}

CudaEvent::CudaEvent() {
  cudaEvent_t event;
  require(cudaEventCreate(&event), "create an event");
  event_ = {event, [](void* e) { cudaEventDestroy(static_cast<cudaEvent_t>(e)); }};
}

Status CudaEvent::record(const Cuda& cuda) const {
  return status_of(cudaEventRecord(static_cast<cudaEvent_t>(event_.get()), stream_of(cuda)), "record an event");
}

Status CudaEvent::record_in_graph(const Cuda& cuda) const {
  const auto event = static_cast<cudaEvent_t>(event_.get());
  return status_of(cudaEventRecordWithFlags(event, stream_of(cuda), cudaEventRecordExternal), "record an event");
}

Status CudaEvent::wait_in(const Cuda& cuda) const {
  return status_of(cudaStreamWaitEvent(stream_of(cuda), static_cast<cudaEvent_t>(event_.get()), 0), "wait for an event");
}

double CudaEvent::milliseconds_since(const CudaEvent& earlier) const {
  float ms = 0;
  cudaEventElapsedTime(&ms, static_cast<cudaEvent_t>(earlier.event_.get()), static_cast<cudaEvent_t>(event_.get()));
  return ms;
}

}  // namespace mfs::core
