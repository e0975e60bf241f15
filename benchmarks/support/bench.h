// What the benchmark of an operation needs: registration on every backend, data, timing.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "benchmarks/support/rotating.h"
#include "benchmarks/support/settings.h"
#include "benchmarks/support/stopwatch.h"
#include "kernels/status.h"

namespace mfs::bench {

// The same problem solved by somebody else.
struct Rival {
  std::string name, algorithm;
  std::unique_ptr<Stopwatch> watch;
};

struct Problem {
  Cost cost;
  DType dtype;
  std::string algorithm{};  // of ours
  int count = 1;            // how often the network has it
};

// Ours and the others turn by turn, so that all see the same state of the machine.
void run_turns(benchmark::State& state, const Problem& problem, Stopwatch& ours, const std::vector<Rival>& rivals);

// Instead of a case's result, where Settings::seconds are over.
inline constexpr const char* kNoTime = "no time left";

// One case on one device.
template <typename Device>
class Bench {
 public:
  explicit Bench(benchmark::State& state) : state_(state), device_(chosen(static_cast<const Device*>(nullptr))) {}

  const Device& device() const { return device_; }
  RotatingTensor tensor(Shape shape, DType dtype, int pitch = 0) const { return {device_, shape, dtype, pitch}; }
  RotatingBuffer buffer(std::int64_t elements, DType dtype) const { return {device_, elements, dtype}; }
  Memory memory(std::size_t bytes) const { return {device_, bytes}; }

  void measure(const Cost& cost, DType dtype, Operation operation) { measure_against({cost, dtype}, std::move(operation), {}); }
  // Of a problem that needs scratch; next() gives it data that are not in the cache.
  template <typename Kernel, typename Next>
  void measure_next(Kernel& problem, DType dtype, const Next& next) {
    next();
    const Memory scratch = memory(scratch_bytes(device_, problem));
    problem.scratch = scratch.span();
    measure(cost(problem), dtype, [&] {
      next();
      return run(device_, problem);
    });
  }
  void measure_against(const Problem& problem, Operation operation, const std::vector<Rival>& rivals) {
    run_turns(state_, problem, *watch(problem.cost, std::move(operation)), rivals);
  }
  std::unique_ptr<Stopwatch> watch(const Cost& cost, Operation operation) const {
    return stopwatch(device_, cost.bytes_read + cost.bytes_written, std::move(operation));
  }

 private:
  benchmark::State& state_;
  Device device_;
};

// A case of one device, kept until register_all() gives those of the chosen device that are possible to Google Benchmark.
void keep(const Cpu*, const std::string& name, std::function<void(benchmark::State&)> body, std::function<bool()> possible);
void keep(const Cuda*, const std::string& name, std::function<void(benchmark::State&)> body, std::function<bool()> possible);
void register_all(const Cpu*);
void register_all(const Cuda*);

inline constexpr auto kAlways = [](const auto&) { return true; };

template <typename Device, typename Body, typename Possible = decltype(kAlways)>
void add_to(const Device* device, const std::string& name, Body body, Possible possible = kAlways) {
  const auto measure = [body](benchmark::State& state) {
    Bench<Device> bench(state);
    body(bench);
  };
  keep(device, name, measure, [device, possible] { return possible(chosen(device)); });
}

// At static initialisation, on each backend of this build: `body` takes a Bench of any device and measures once.
template <typename Body>
bool add(const std::string& name, Body body) {
  if constexpr (MFS_HAVE_CPU != 0) add_to(static_cast<const Cpu*>(nullptr), name, body);
  if constexpr (MFS_HAVE_CUDA != 0) add_to(static_cast<const Cuda*>(nullptr), name, body);
  return true;
}

// The same where the variant is taken; its text ends the name. possible(device) is asked when the device is known.
template <typename Body, typename Possible = decltype(kAlways)>
bool add(const std::string& name, const Variant& v, Body body, Possible possible = kAlways) {
  const std::string full = name + " " + to_string(v);
  constexpr const Cpu* kCpu = nullptr;
  constexpr const Cuda* kCuda = nullptr;
  if constexpr (MFS_HAVE_CPU != 0)
    if (takes(kCpu, v)) add_to(kCpu, full, body, possible);
  if constexpr (MFS_HAVE_CUDA != 0)
    if (takes(kCuda, v)) add_to(kCuda, full, body, possible);
  return true;
}

}  // namespace mfs::bench
