// What the benchmark of an operation needs: settings, registration and timing.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/support/device_card.h"
#include "benchmarks/support/rotating.h"
#include "kernels/backend.h"
#include "kernels/status.h"

namespace mfs::bench {

using namespace mfs::core;  // NOLINT: benchmarks are about nothing else

// Written by main() before the first benchmark runs.
struct Settings {
  Cpu cpu;
  DeviceCard card;
};
Settings& settings();

// Registers at static initialisation; `body` measures once with measure() or measure_against().
bool add(const std::string& name, std::function<void(benchmark::State&)> body);

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void fail(benchmark::State& state, const Status& status);
void report(benchmark::State& state, const Cost& cost, DType dtype, std::vector<double> seconds,
            std::vector<double> peer_seconds = {});

// Times `op`, a function from nothing to Status, and reports against `cost`.
template <typename Op>
void measure(benchmark::State& state, const Cost& cost, DType dtype, Op&& op) {
  std::vector<double> seconds;
  for (auto _ : state) {
    const double begin = seconds_now();
    const Status status = op();
    seconds.push_back(seconds_now() - begin);
    if (!status) return fail(state, status);
    state.SetIterationTime(seconds.back());
  }
  report(state, cost, dtype, std::move(seconds));
}

// The same next to a peer that solves the same problem, turn by turn, so that both see the same state of the machine.
template <typename Op, typename Peer>
void measure_against(benchmark::State& state, const Cost& cost, DType dtype, Op&& op, Peer&& peer) {
  std::vector<double> seconds, peer_seconds;
  for (auto _ : state) {
    double begin = seconds_now();
    const Status status = op();
    seconds.push_back(seconds_now() - begin);
    if (!status) return fail(state, status);
    begin = seconds_now();
    peer();
    peer_seconds.push_back(seconds_now() - begin);
    state.SetIterationTime(seconds.back() + peer_seconds.back());
  }
  report(state, cost, dtype, std::move(seconds), std::move(peer_seconds));
}

double median(std::vector<double> values);

}  // namespace mfs::bench
