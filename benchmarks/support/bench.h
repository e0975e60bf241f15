// What the benchmark of an operation needs: settings, buffers that defeat the cache, timing, and the table of results.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/support/device_card.h"
#include "kernels/backend.h"
#include "kernels/status.h"
#include "runtime/aligned_buffer.h"

namespace mfs::bench {

using namespace mfs::core;  // NOLINT: benchmarks are about nothing else

// Written by main() before the first benchmark runs.
struct Settings {
  Cpu cpu;
  DeviceCard card;
};
Settings& settings();

// Photos of a web page, a screen and a camera.
struct PhotoSize {
  int width, height;
};
inline constexpr PhotoSize kPhotoSizes[] = {{640, 480}, {1920, 1080}, {4000, 3000}};

// Registers at static initialisation; `body` measures once with measure() or measure_against().
bool add(const std::string& name, std::function<void(benchmark::State&)> body);

// As many copies of a buffer as together exceed the L3 several times: next() walks through them, so that a memory-bound
// operation finds its data in memory, not in the cache. Filled with values from -1 to 1 (bytes: 0 to 255).
class RotatingBuffer {
 public:
  RotatingBuffer(std::int64_t elements, DType dtype);
  std::byte* next();

 private:
  std::size_t stride_;
  int copies_, at_ = 0;
  AlignedBuffer memory_;
};

// A tensor in such a buffer.
class RotatingTensor {
 public:
  RotatingTensor(Shape shape, DType dtype, int pitch = 0);
  MutView next() { return {buffer_.next(), dtype_, shape_, pitch_}; }

 private:
  Shape shape_;
  DType dtype_;
  int pitch_;
  RotatingBuffer buffer_;
};

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
