// Where a run of the benchmarks measures, and the variants of a case.
#pragma once

#include <string>

#include "benchmarks/support/device_card.h"
#include "kernels/backend.h"
#include "kernels/tensor_view.h"

namespace mfs::bench {

using namespace mfs::core;  // NOLINT: benchmarks are about nothing else

// Written by main() before the first benchmark runs.
struct Settings {
  Cpu cpu;
  Cuda cuda;
  DeviceCard card;  // of the one that is measured
  // GPU only: of each case. Google Benchmark would begin a case anew to find out how many it needs, weights packed and
  // libraries asked again; and a turn is many launches already.
  int turns = 15;
  double seconds = 1e9;  // begins no case after so long
};
Settings& settings();
inline const Cpu& chosen(const Cpu*) { return settings().cpu; }
inline const Cuda& chosen(const Cuda*) { return settings().cuda; }

// Element type and images of a case. The CPU takes f32, bf16 and u8 (int8), one image; a GPU all but f32, the narrow ones if it
// is a Hopper.
struct Variant {
  DType dtype = DType::kF32;
  int batch = 1;
};
inline constexpr Variant kVariants[] = {
    {DType::kF32, 1}, {DType::kF16, 1}, {DType::kF16, 16}, {DType::kBF16, 1}, {DType::kBF16, 16}};
// Of convolutions and what ends in one.
inline constexpr Variant kNarrowVariants[] = {{DType::kU8, 1}, {DType::kU8, 16}, {DType::kE4m3, 1}, {DType::kE4m3, 16}};
std::string to_string(const Variant& v);  // "f16", "f16x16", "int8", "fp8"
inline bool takes(const Cpu*, const Variant& v) { return v.dtype != DType::kF16 && v.dtype != DType::kE4m3 && v.batch == 1; }
inline bool takes(const Cuda*, const Variant& v) { return v.dtype != DType::kF32; }

}  // namespace mfs::bench
