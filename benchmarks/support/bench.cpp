#include "benchmarks/support/bench.h"

#include <algorithm>
#include <exception>
#include <type_traits>
#include <utility>

namespace mfs::bench {
namespace {

struct Kept {
  std::string name;
  std::function<void(benchmark::State&)> body;
  std::function<bool()> possible;
};
std::vector<Kept>& kept(const Cpu*) {
  static std::vector<Kept> all;
  return all;
}
std::vector<Kept>& kept(const Cuda*) {
  static std::vector<Kept> all;
  return all;
}

template <typename Device>
void register_kept(const Device* device) {
  const double begin = seconds_now();
  for (const Kept& k : kept(device)) {
    if (!k.possible()) continue;
    const auto guarded = [body = k.body, begin](benchmark::State& state) {
      if (seconds_now() - begin > settings().seconds) return state.SkipWithError(kNoTime);
      try {
        body(state);
      } catch (const std::exception& e) {
        state.SkipWithError(e.what());
      }
    };
    auto* const registered = benchmark::RegisterBenchmark(k.name.c_str(), guarded);
    registered->UseManualTime()->Unit(benchmark::kMicrosecond);
    if (std::is_same_v<Device, Cuda>) registered->Iterations(settings().turns);
  }
}

}  // namespace

Settings& settings() {
  static Settings instance;
  return instance;
}

std::string to_string(const Variant& v) {
  std::string text = v.dtype == DType::kU8 ? "int8" : v.dtype == DType::kE4m3 ? "fp8" : name_of(v.dtype);
  if (v.batch > 1) text.append("x").append(std::to_string(v.batch));
  return text;
}

void keep(const Cpu* device, const std::string& name, std::function<void(benchmark::State&)> body,
          std::function<bool()> possible) {
  kept(device).push_back({name, std::move(body), std::move(possible)});
}
void keep(const Cuda* device, const std::string& name, std::function<void(benchmark::State&)> body,
          std::function<bool()> possible) {
  kept(device).push_back({name, std::move(body), std::move(possible)});
}
void register_all(const Cpu* device) { register_kept(device); }
void register_all(const Cuda* device) { register_kept(device); }

void run_turns(benchmark::State& state, const Problem& problem, Stopwatch& ours, const std::vector<Rival>& rivals) {
  std::vector<double> own;
  std::vector<std::vector<double>> theirs(rivals.size());
  for (auto _ : state) {
    own.push_back(ours.seconds());
    double turn = own.back();
    for (std::size_t i = 0; i < rivals.size(); ++i) {
      theirs[i].push_back(rivals[i].watch->seconds());
      turn += theirs[i].back();
    }
    state.SetIterationTime(turn);
  }
  const double time = median(std::move(own));
  const auto bytes = static_cast<double>(problem.cost.bytes_read + problem.cost.bytes_written);
  const auto flops = static_cast<double>(problem.cost.flops);
  state.counters["us"] = time * 1e6;
  state.counters["bytes"] = bytes;
  state.counters["flops"] = flops;
  state.counters["GB/s"] = bytes / time * 1e-9;
  state.counters["TFLOP/s"] = flops / time * 1e-12;
  if (!is_narrow(problem.dtype))  // whose peak is not measured
    state.counters["% of peak"] = 100 * settings().card.least_seconds(problem.cost, problem.dtype) / time;
  state.counters["count"] = problem.count;
  std::string label = problem.algorithm;
  double best = 0;
  for (std::size_t i = 0; i < rivals.size(); ++i) {
    const double peer = median(std::move(theirs[i]));
    state.counters[rivals[i].name + " us"] = peer * 1e6;
    if (best == 0 || peer < best) best = peer;
    label.append(label.empty() ? "" : " | ").append(rivals[i].algorithm);
  }
  if (best > 0) state.counters["peer us"] = best * 1e6;
  state.SetLabel(label);
}

}  // namespace mfs::bench
