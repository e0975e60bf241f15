#include <algorithm>
#include <chrono>
#include <sstream>

#include "benchmarks/support/cuda_peaks.h"
#include "benchmarks/support/device_card.h"
#include "kernels/error.h"

namespace mfs::bench {
namespace {

using namespace core;  // NOLINT: benchmarks are about nothing else

void require(const Status& s) {
  if (!s) throw Error(s.code(), s.message());
}

// The shortest of several launches, in seconds.
template <typename Queue>
double best_time(const Cuda& cuda, const Queue& queue) {
  constexpr int kRounds = 20;
  const CudaEvent begin, end;
  double best = 1e30;
  for (int i = 0; i < kRounds; ++i) {
    require(begin.record(cuda));
    require(queue());
    require(end.record(cuda));
    require(wait(cuda));
    best = std::min(best, end.milliseconds_since(begin) * 1e-3);
  }
  return best;
}

double gflop_per_s(const Cuda& cuda, Status (*queue)(const Cuda&, float*, int, double&), float* out, int steps) {
  double flops = 0;
  const double seconds = best_time(cuda, [&] { return queue(cuda, out, steps, flops); });
  return flops / seconds * 1e-9;
}

// An idle GPU's clock is low, and rises with work.
void warm_up(const Cuda& cuda, float* out) {
  constexpr std::chrono::milliseconds kLong(300);
  double flops = 0;
  for (const auto begin = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - begin < kLong;) {
    require(queue_mma(cuda, out, 4096, flops));
    require(wait(cuda));
  }
}

}  // namespace

DeviceCard measure_device(const Cuda& cuda, const CudaDeviceInfo& info) {
  DeviceCard card;
  card.device = info.name;
  std::ostringstream details;
  details << info.multiprocessors << " SMs, capability " << info.capability / 10 << "." << info.capability % 10 << ", L2 "
          << (info.l2_bytes >> 20) << " MiB, memory " << (info.memory >> 30) << " GiB, "
          << info.shared_per_multiprocessor / 1024 << " KiB shared, at most " << info.clock_khz / 1000 << " MHz, memory "
          << info.memory_clock_khz / 1000 << " MHz";
  card.details = details.str();
  card.cache_bytes = info.l2_bytes;
  const std::size_t bytes = std::max<std::size_t>(16 * info.l2_bytes, std::size_t{1} << 20);
  const CudaMemory from(MemoryKind::kDevice, bytes), to(MemoryKind::kDevice, bytes);
  auto* const out = reinterpret_cast<float*>(to.data());
  warm_up(cuda, out);
  card.copy_gb_per_s = 2 * static_cast<double>(bytes) * 1e-9 / best_time(cuda, [&] {
                         return queue_copy(cuda, from.data(), to.data(), static_cast<std::int64_t>(bytes));
                       });
  card.f32_gflop_per_s = gflop_per_s(cuda, queue_f32, out, 4096);
  card.half_gflop_per_s = gflop_per_s(cuda, queue_mma, out, 1024);
  card.half_by = "mma.sync";
  double flops = 0;
  if (info.capability != 90 || !queue_wgmma(cuda, out, 1, flops)) return card;
  if (const double by_wgmma = gflop_per_s(cuda, queue_wgmma, out, 128); by_wgmma > card.half_gflop_per_s)
    card.half_gflop_per_s = by_wgmma, card.half_by = "wgmma";
  return card;
}

}  // namespace mfs::bench
