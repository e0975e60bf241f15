// The schedules that every correct kernel has to survive.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/cuda/simt/launch.h"

namespace mfs::test {

namespace simt = mfs::core::simt;
using simt::emulation::Completion;
using simt::emulation::Machine;
using simt::emulation::Options;
using simt::emulation::Order;

inline std::vector<Options> schedules(uint32_t seeds = 2) {
  std::vector<Options> all;
  for (const Completion completion : {Completion::kEarly, Completion::kLate, Completion::kRandom}) {
    all.push_back({.order = Order::kForward, .completion = completion});
    all.push_back({.order = Order::kReverse, .completion = completion});
    for (uint32_t seed = 1; seed <= seeds; ++seed)
      all.push_back({.seed = seed, .order = Order::kRandom, .completion = completion});
  }
  return all;
}

inline std::string text(const Options& o) {
  return "seed " + std::to_string(o.seed) + " order " + std::to_string(static_cast<int>(o.order)) + " completion " +
         std::to_string(static_cast<int>(o.completion));
}

// One kernel, launched and run to its end; the message of the first report, or "".
template <class... Params, class... Args>
std::string run(Machine& machine, const simt::LaunchShape& shape, void (*kernel)(Params...), Args... args) {
  const core::Status launched = simt::launch(&machine, shape, kernel, args...);
  if (!launched) return launched.message();
  return machine.synchronize().message();
}

template <class... Params, class... Args>
std::string run(const Options& options, const simt::LaunchShape& shape, void (*kernel)(Params...), Args... args) {
  Machine machine(options);
  return run(machine, shape, kernel, args...);
}

inline bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace mfs::test
