// What the processor can do at best, measured: the hundred per cent of every benchmark.
#pragma once

#include <string>

#include "kernels/cost.h"
#include "kernels/tensor_view.h"

namespace mfs::bench {

struct DeviceCard {
  std::string processor;
  int cores = 1, threads = 1;
  std::size_t l3_bytes = 0;
  double copy_gb_per_s = 0;     // bytes read plus bytes written, in buffers far larger than the L3
  double f32_gflop_per_s = 0;   // fused multiply-adds in registers
  double bf16_gflop_per_s = 0;  // bf16 dot products; the f32 figure where the processor has none

  double peak_gflop_per_s(core::DType t) const { return t == core::DType::kBF16 ? bf16_gflop_per_s : f32_gflop_per_s; }
  // The least time this much traffic and arithmetic can take.
  double least_seconds(const core::Cost& cost, core::DType t) const;
};

DeviceCard measure_device(int threads);
std::string to_string(const DeviceCard& card);  // several lines, with a heading

}  // namespace mfs::bench
