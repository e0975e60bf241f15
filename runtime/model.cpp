#include "runtime/model.h"

#include <algorithm>
#include <iterator>

#include "kernels/cuda/device_scope.h"
#include "kernels/error.h"
#include "layers/network.h"
#include "runtime/build_info.h"
#include "runtime/cpu_executor.h"
#include "runtime/cuda_executor.h"
#include "runtime/quantisation.h"

namespace mfs::core {
namespace {

// bf16 pays only where the processor multiplies it: AVX512-BF16 (Zen 4 and newer, Cooper Lake, Sapphire Rapids and newer).
bool has_bf16_instructions() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

constexpr const char* kNarrowOnGpu = " on a GPU needs one of compute capability 9.0 and a build for sm_90a";

// Devices of a build with the CUDA engine; of others none.
std::vector<CudaDeviceInfo> gpus(std::string& why_none) {
#if MFS_HAVE_CUDA
  return cuda_devices(why_none);
#else
  why_none = "this build has no CUDA engine";
  return {};
#endif
}

bool is_narrow(const std::string& precision) { return precision == "int8" || precision == "fp8"; }

#if MFS_HAVE_CUDA
bool has_narrow(const CudaDeviceInfo& gpu) { return has_conv(Cuda{.capability = gpu.capability}, DType::kU8); }
#else
bool has_narrow(const CudaDeviceInfo&) { return false; }
#endif

// The GPU to use, or none for the CPU.
std::optional<CudaDeviceInfo> choose_device(const ModelOptions& options) {
  const std::string& d = options.device;
  const bool cuda = d == "cuda" || d.starts_with("cuda:");
  if (!cuda && d != "auto" && d != "cpu")
    throw Error(Code::kInvalidArgument, "unknown device '" + d + "'; known are auto, cpu, cuda and cuda:N");
  std::string why_none;
  std::vector<CudaDeviceInfo> found;
  const bool on_cpu = d == "auto" && options.precision == "f32";
  if (on_cpu) why_none = "the CUDA engine does not offer f32";
  if (d != "cpu" && !on_cpu) found = gpus(why_none);
  if (d.starts_with("cuda:")) {
    std::erase_if(found, [&](const CudaDeviceInfo& g) { return d != "cuda:" + std::to_string(g.index); });
    if (found.empty() && why_none.empty()) why_none = "there is no such device";
  }
  if ((d == "auto" || d == "cuda") && is_narrow(options.precision)) {
    std::vector<CudaDeviceInfo> able;
    std::ranges::copy_if(found, std::back_inserter(able), has_narrow);
    if (d == "auto" && able.empty() && !found.empty()) why_none = "precision " + options.precision + kNarrowOnGpu;
    if (d == "auto" || !able.empty()) found = able;
  }
  if (cuda && found.empty()) throw Error(Code::kNoDevice, "device " + d + " was asked for, but " + why_none);
  if (found.empty() && !MFS_HAVE_CPU) throw Error(Code::kNoDevice, "this build has no CPU engine");
  if (d == "auto" && options.log)
    options.log("device auto: " + (found.empty() ? "cpu, because " + why_none : "cuda, " + found.front().name));
  return found.empty() ? std::nullopt : std::optional(found.front());
}

DType choose_precision_on_gpu(const ModelOptions& options) {
  if (options.precision == "auto" && options.log) options.log("precision auto: f16, what the CUDA engine is fastest in");
  return options.precision == "bf16" ? DType::kBF16 : DType::kF16;
}

DType choose_precision_on_cpu(const ModelOptions& options) {
#if MFS_HAVE_CPU
  if (options.precision == "bf16" && !has_conv(Cpu{}, DType::kBF16))
    throw Error(Code::kUnsupported, "precision bf16 needs a processor with AVX-512, which this one lacks; f32 works on all");
#endif
  if (options.precision != "auto") return options.precision == "bf16" ? DType::kBF16 : DType::kF32;
  const bool bf16 = has_bf16_instructions();
  if (options.log)
    options.log(bf16 ? "precision auto: bf16, because the processor has AVX512-BF16"
                     : "precision auto: f32, because the processor has no bf16 instructions");
  return bf16 ? DType::kBF16 : DType::kF32;
}

DType choose_precision(const ModelOptions& options, const std::optional<CudaDeviceInfo>& gpu) {
  const std::string& p = options.precision;
  const bool known = p == "auto" || p == "f32" || p == "f16" || p == "bf16" || p == "int8" || p == "fp8";
  if (!known)
    throw Error(Code::kInvalidArgument, "unknown precision '" + p + "'; known are auto, f32, bf16, f16, int8 and fp8");
  if (gpu && p == "f32")
    throw Error(Code::kUnsupported, "precision f32 is not offered by the CUDA engine; f16, bf16, int8 and fp8 are");
  if (gpu && is_narrow(p) && !has_narrow(*gpu)) throw Error(Code::kUnsupported, "precision " + p + kNarrowOnGpu);
  if (!gpu && p == "fp8") throw Error(Code::kUnsupported, "precision fp8 needs a GPU of compute capability 9.0");
  if (!gpu && p != "auto" && p != "f32" && p != "bf16" && p != "int8")
    throw Error(Code::kUnsupported,
                "precision " + p + " is not offered by the CPU engine; f32, int8 and, with AVX-512, bf16 are");
  return gpu ? choose_precision_on_gpu(options) : choose_precision_on_cpu(options);
}

std::int64_t count_parameters(const WeightsFile& file) {
  std::int64_t n = 0;
  for (const StoredTensor& t : file.tensors())
    if (!t.name.ends_with(".running_mean") && !t.name.ends_with(".running_var")) n += t.elements;
  return n;
}

}  // namespace

Model::Model(const std::string& path, const ModelOptions& options) : log_(options.log) {
  gpu_ = choose_device(options);
  if (gpu_) device_name_ = "cuda:" + std::to_string(gpu_->index);
  dtype_ = choose_precision(options, gpu_);
  if (is_narrow(options.precision)) narrow_ = options.precision == "int8" ? DType::kU8 : DType::kE4m3;
  threads_ = options.threads > 0 ? options.threads : all_threads();
  weights_ = WeightsFile::open(path);
  const PreprocessDescription& p = weights_->preprocess();
  build_network(*weights_, p.height, p.width);  // every tensor is there and fits
  weights_->check_finite(threads_);
  parameters_ = count_parameters(*weights_);
  if (narrow_) check_calibration();
}

// That int8 or fp8 finds what it needs in the file, before anything is planned.
void Model::check_calibration() const {
  const std::string& path = weights_->path();
  if (!weights_->calibration())
    throw Error(Code::kUnsupported,
                path + ": precision " + precision() + " needs calibrated weights, which mfs_calibrate makes of these");
  const PreprocessDescription& p = weights_->preprocess();
  Lowered network = lower(build_network(*weights_, p.height, p.width), {.dtype = dtype_, .join_sources = gpu_.has_value()});
  try {
    quantise(network, *weights_->calibration(), {*narrow_, gpu_.has_value()});
  } catch (const Error& error) {
    throw Error(error.code(), path + ": " + error.what());
  }
}

const Calibration* Model::calibration() const { return narrow_ ? &*weights_->calibration() : nullptr; }

NetworkOptions Model::cpu_options(int height, int width, int batch) const {
  return {height, width, dtype_, threads_, false, batch, calibration(), narrow_.value_or(DType::kU8)};
}

CudaPlanOptions Model::cuda_options(int height, int width, int batch) const {
  return {height, width, dtype_, *gpu_, threads_, false, batch, calibration(), narrow_.value_or(DType::kU8)};
}

std::unique_ptr<Executor> Model::plan(int height, int width, int batch, const std::shared_ptr<SessionMemory>& memory) const {
  const std::string what = std::to_string(width) + "x" + std::to_string(height) + ", batch " + std::to_string(batch);
  if (log_) log_("planning for network size " + what);
#if MFS_HAVE_CUDA
  if (gpu_) {
    const CudaDeviceScope scope(gpu_->index);
    return std::make_unique<CudaExecutor>(*weights_, packs_, cuda_options(height, width, batch), memory);
  }
#endif
#if MFS_HAVE_CPU
  return std::make_unique<CpuExecutor>(*weights_, packs_, cpu_options(height, width, batch), memory);
#else
  throw Error(Code::kNoDevice, "this build has no engine for " + what);
#endif
}

SessionMemory Model::session_memory(std::span<std::byte> callers) const {
#if MFS_HAVE_CUDA
  if (gpu_) return CudaExecutor::memory_of(callers);
#endif
#if MFS_HAVE_CPU
  return CpuExecutor::memory_of(callers);
#else
  throw Error(Code::kNoDevice, "this build has no engine");
#endif
}

SessionBytes Model::memory_needed(int height, int width, int batch, const PhotoLimits& limits) const {
#if MFS_HAVE_CUDA
  if (gpu_) return CudaExecutor::bytes_needed(*weights_, packs_, cuda_options(height, width, batch), limits);
#endif
#if MFS_HAVE_CPU
  return CpuExecutor::bytes_needed(*weights_, packs_, cpu_options(height, width, batch), limits);
#else
  throw Error(Code::kNoDevice, "this build has no engine");
#endif
}

}  // namespace mfs::core
