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
};
Settings& settings();
inline const Cpu& chosen(const Cpu*) { return settings().cpu; }
inline const Cuda& chosen(const Cuda*) { return settings().cuda; }

// Element type and images of a case. The CPU takes f32, bf16 and u8 (int8), one image; a GPU f16 and bf16.
struct Variant {
  DType dtype = DType::kF32;
  int batch = 1;
};
inline constexpr Variant kVariants[] = {
    {DType::kF32, 1}, {DType::kF16, 1}, {DType::kF16, 16}, {DType::kBF16, 1}, {DType::kBF16, 16}};
inline constexpr Variant kInt8{DType::kU8, 1};  // of convolutions only
std::string to_string(const Variant& v);        // "f16", "f16x16", "int8"
inline bool takes(const Cpu*, const Variant& v) { return v.dtype != DType::kF16 && v.batch == 1; }
inline bool takes(const Cuda*, const Variant& v) { return v.dtype == DType::kF16 || v.dtype == DType::kBF16; }

}  // namespace mfs::bench
