#include "runtime/model.h"

#include "kernels/error.h"
#include "layers/network.h"
#include "runtime/build_info.h"
#include "runtime/cpu_executor.h"

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

void choose_device(const ModelOptions& options) {
  const std::string& d = options.device;
  const bool cuda = d == "cuda" || d.starts_with("cuda:");
  if (cuda) throw Error(Code::kNoDevice, "device " + d + " was asked for, but this build has no CUDA engine");
  if (d != "auto" && d != "cpu")
    throw Error(Code::kInvalidArgument, "unknown device '" + d + "'; known are auto, cpu, cuda and cuda:N");
  if (!MFS_HAVE_CPU) throw Error(Code::kNoDevice, "this build has no CPU engine");
  if (d == "auto" && options.log) options.log("device auto: cpu, because this build has no CUDA engine");
}

DType choose_precision(const ModelOptions& options) {
  const std::string& p = options.precision;
  if (p == "f32") return DType::kF32;
  if (p == "bf16") return DType::kBF16;
  if (p == "f16" || p == "int8" || p == "fp8")
    throw Error(Code::kUnsupported, "precision " + p + " is not offered by the CPU engine; f32 and bf16 are");
  if (p != "auto")
    throw Error(Code::kInvalidArgument, "unknown precision '" + p + "'; known are auto, f32, bf16, f16, int8 and fp8");
  const bool bf16 = has_bf16_instructions();
  if (options.log)
    options.log(bf16 ? "precision auto: bf16, because the processor has AVX512-BF16"
                     : "precision auto: f32, because the processor has no bf16 instructions");
  return bf16 ? DType::kBF16 : DType::kF32;
}

std::int64_t count_parameters(const WeightsFile& file) {
  std::int64_t n = 0;
  for (const StoredTensor& t : file.tensors())
    if (!t.name.ends_with(".running_mean") && !t.name.ends_with(".running_var")) n += t.elements;
  return n;
}

}  // namespace

Model::Model(const std::string& path, const ModelOptions& options) {
  choose_device(options);
  dtype_ = choose_precision(options);
  threads_ = options.threads > 0 ? options.threads : all_threads();
  weights_ = WeightsFile::open(path);
  const PreprocessDescription& p = weights_->preprocess();
  build_network(*weights_, p.height, p.width);  // every tensor is there and fits
  weights_->check_finite(threads_);
  parameters_ = count_parameters(*weights_);
}

std::unique_ptr<Executor> Model::plan(int height, int width) const {
#if MFS_HAVE_CPU
  return std::make_unique<CpuExecutor>(*weights_, packs_, CpuPlanOptions{height, width, dtype_, threads_, false});
#else
  throw Error(Code::kNoDevice, "this build has no engine for " + std::to_string(width) + "x" + std::to_string(height));
#endif
}

}  // namespace mfs::core
