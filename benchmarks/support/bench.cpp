#include "benchmarks/support/bench.h"

#include <algorithm>
#include <utility>

namespace mfs::bench {

Settings& settings() {
  static Settings instance;
  return instance;
}

bool add(const std::string& name, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(body))->UseManualTime()->Unit(benchmark::kMicrosecond);
  return true;
}

void fail(benchmark::State& state, const Status& status) { state.SkipWithError(status.message().c_str()); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void report(benchmark::State& state, const Cost& cost, DType dtype, std::vector<double> seconds,
            std::vector<double> peer_seconds) {
  const double time = median(std::move(seconds));
  state.counters["us"] = time * 1e6;
  state.counters["GB/s"] = static_cast<double>(cost.bytes_read + cost.bytes_written) / time * 1e-9;
  state.counters["GFLOP/s"] = static_cast<double>(cost.flops) / time * 1e-9;
  state.counters["% of peak"] = 100 * settings().card.least_seconds(cost, dtype) / time;
  if (!peer_seconds.empty()) state.counters["peer us"] = median(std::move(peer_seconds)) * 1e6;
}

}  // namespace mfs::bench
