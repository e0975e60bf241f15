// What a device can do at best, measured: the hundred per cent of every benchmark.
#pragma once

#include <string>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/cuda/device.h"
#include "kernels/tensor_view.h"

namespace mfs::bench {

struct DeviceCard {
  std::string device;           // its name
  std::string details;          // one line: cores, caches, clocks, versions
  std::size_t cache_bytes = 0;  // the last cache before memory
  double copy_gb_per_s = 0;     // bytes read plus bytes written, in buffers far larger than that cache
  double f32_gflop_per_s = 0;   // fused multiply-adds in registers
  double half_gflop_per_s = 0;  // of 16-bit numbers summed in f32: tensor cores, bf16 dot products; else the f32 figure
  std::string half_by;          // what reached it: "wgmma", "mma.sync", "avx512_bf16"

  double peak_gflop_per_s(core::DType t) const { return t == core::DType::kF32 ? f32_gflop_per_s : half_gflop_per_s; }
  // The least time this much traffic and arithmetic can take.
  double least_seconds(const core::Cost& cost, core::DType t) const;
};

DeviceCard measure_device(const core::Cpu& cpu);
// The device must be the calling thread's. Throws Error.
DeviceCard measure_device(const core::Cuda& cuda, const core::CudaDeviceInfo& info);
std::string to_string(const DeviceCard& card);  // several lines, with a heading

}  // namespace mfs::bench
