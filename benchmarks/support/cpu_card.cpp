#include "benchmarks/support/device_card.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::bench {
namespace {

constexpr double kSeconds = 0.5;  // for each figure

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The shortest of many runs, in seconds.
template <typename Body>
double best_time(const Body& body) {
  double best = 1e30;
  for (const double end = now() + kSeconds; now() < end;) {
    const double begin = now();
    body();
    best = std::min(best, now() - begin);
  }
  return best;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

// As the kernel reports it: inside a virtual machine the processor's own answer is of the whole host.
std::size_t l3_bytes() {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");  // "32768K"
  std::size_t kib = 0;
  return file >> kib ? kib << 10 : std::size_t{32} << 20;
}

double measure_copy(const core::Cpu& cpu, std::size_t bytes) {
  std::vector<char> from(bytes, 1), to(bytes, 2);
  const double seconds = best_time([&] {
    core::parallel_ranges(cpu, static_cast<std::int64_t>(bytes), [&](std::int64_t begin, std::int64_t end, int) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin));
    });
  });
  return 2 * static_cast<double>(bytes) / seconds * 1e-9;
}

// Independent chains, enough to hide the latency of a multiply-add, with starting values of their own, lest the compiler merge
// them.
constexpr int kChains = 8, kSteps = 1 << 20;
using Lanes16 = float __attribute__((vector_size(64)));
using Lanes8 = float __attribute__((vector_size(32)));
using Lanes4 = float __attribute__((vector_size(16)));

template <class Lanes>
[[gnu::always_inline]] inline float multiply_add_in(float factor) {
  Lanes sums[kChains] = {}, factors = {}, terms = {};
  for (std::size_t i = 0; i < sizeof(Lanes) / 4; ++i) factors[i] = factor, terms[i] = 0.5f;
  for (int i = 0; i < kChains; ++i) sums[i][0] = factor * static_cast<float>(i);
  for (int step = 0; step < kSteps; ++step) {
    for (Lanes& sum : sums) sum = sum * factors + terms;
  }
  Lanes total = {};
  for (const Lanes& sum : sums) total += sum;
  return total[0];
}
// A register of AVX-512 holds 16; where there is none, eight chains of them do not fit into the registers.
MFS_MULTIVERSION float multiply_add_16(float factor) { return multiply_add_in<Lanes16>(factor); }
MFS_MULTIVERSION float multiply_add_8(float factor) { return multiply_add_in<Lanes8>(factor); }
MFS_MULTIVERSION float multiply_add_4(float factor) { return multiply_add_in<Lanes4>(factor); }

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) float dot_products(float factor) {
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(factor), _mm512_set1_ps(factor));
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(factor * static_cast<float>(i));
  for (int step = 0; step < kSteps; ++step) {
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, a, a);
  }
  __m512 total = _mm512_setzero_ps();
  for (const __m512& sum : sums) total = _mm512_add_ps(total, sum);
  return _mm512_cvtss_f32(total);
}
#endif

double measure_flops(const core::Cpu& cpu, float (*work)(float), double flops) {
  volatile float sink = 0;
  const double seconds = best_time([&] {
    core::parallel_ranges(cpu, cpu.threads, [&](std::int64_t, std::int64_t, int thread) {
      const float result = work(0.25f);
      if (thread == 0) sink = result;
    });
  });
  return flops * cpu.threads / seconds * 1e-9;
}

}  // namespace

DeviceCard measure_device(const core::Cpu& cpu) {
  DeviceCard card;
  card.device = processor_name();
  card.cache_bytes = l3_bytes();
  card.details = std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " cores, L3 " + std::to_string(card.cache_bytes >> 20) +
                 " MiB, " + std::to_string(cpu.threads) + " threads";
  card.copy_gb_per_s = measure_copy(cpu, 4 * card.cache_bytes);
  for (const auto& [work, lanes] : {std::pair{&multiply_add_16, 16}, {&multiply_add_8, 8}, {&multiply_add_4, 4}})
    card.f32_gflop_per_s = std::max(card.f32_gflop_per_s, measure_flops(cpu, work, 2.0 * kChains * lanes * kSteps));
  card.half_gflop_per_s = card.f32_gflop_per_s;
  card.half_by = "f32";
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) {
    card.half_gflop_per_s = measure_flops(cpu, dot_products, 4.0 * kChains * 16 * kSteps);
    card.half_by = "avx512_bf16";
  }
#endif
  return card;
}

}  // namespace mfs::bench
