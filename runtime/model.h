// Weights, checked and ready for one device: immutable after loading, shared by any number of sessions.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kernels/conv.h"
#include "kernels/cuda/device.h"
#include "runtime/executor.h"
#include "runtime/workspace.h"
#include "weights/weights_file.h"

namespace mfs::core {

struct CudaPlanOptions;
struct NetworkOptions;

struct ModelOptions {
  std::string device = "auto";     // auto, cpu, cuda, cuda:N
  std::string precision = "auto";  // auto, f32, f16, bf16, int8, fp8
  int threads = 0;                 // 0 = all the process may use
  std::function<void(const std::string&)> log;
};

class Model {
 public:
  // Reads, checks and understands the file; throws Error with the sentence for the user.
  Model(const std::string& path, const ModelOptions& options);

  // A plan for one network size (multiples of size_multiple(), at least 64) and number of photos, in a session's memory. Packed
  // weights are shared with earlier plans. Throws Error.
  std::unique_ptr<Executor> plan(int height, int width, int batch, const std::shared_ptr<SessionMemory>& memory) const;
  // Memory of a session: its own or, unless empty, the caller's.
  SessionMemory session_memory(std::span<std::byte> callers) const;
  // What a plan and photos of up to `limits` (width 0: none) take of it. Throws Error.
  SessionBytes memory_needed(int height, int width, int batch, const PhotoLimits& limits) const;

  const WeightsFile& weights() const { return *weights_; }
  const char* device() const { return device_name_.c_str(); }  // "cpu", "cuda:0"
  const char* precision() const { return !narrow_ ? name_of(dtype_) : *narrow_ == DType::kU8 ? "int8" : "fp8"; }
  int threads() const { return threads_; }
  std::int64_t parameters() const { return parameters_; }  // trainable ones: batch norm statistics do not count

 private:
  void check_calibration() const;
  const Calibration* calibration() const;  // for int8 and fp8, else null
  NetworkOptions cpu_options(int height, int width, int batch) const;
  CudaPlanOptions cuda_options(int height, int width, int batch) const;

  std::function<void(const std::string&)> log_;
  std::shared_ptr<const WeightsFile> weights_;
  std::optional<CudaDeviceInfo> gpu_;  // none: the CPU
  std::string device_name_ = "cpu";
  DType dtype_ = DType::kF32;
  std::optional<DType> narrow_;  // of convolutions that the weights' calibration tells of; the rest is in dtype_
  int threads_ = 1;
  std::int64_t parameters_ = 0;
  mutable PackCache packs_;
};

}  // namespace mfs::core
