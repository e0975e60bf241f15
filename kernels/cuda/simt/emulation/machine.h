// The emulated GPU: one stream of kernels, each CUDA thread a fiber of the calling host thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/simt/launch_shape.h"

namespace mfs::core::simt::emulation {

enum class Order { kForward, kReverse, kRandom };  // in which order runnable threads get their turn
enum class Completion {
  kEarly,
  kLate,
  kRandom
};  // when an asynchronous operation takes effect: at issue, when awaited, any time

struct Options {
  uint32_t seed = 1;
  Order order = Order::kForward;
  Completion completion = Completion::kEarly;
  bool detect_races = false;       // for kernels compiled with -fsanitize=thread (see tsan_hooks.cpp)
  unsigned resident_clusters = 3;  // how many run at the same time; cooperative kernels: all
};

struct State;

class Machine {
 public:
  explicit Machine(const Options& options = {});
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  struct Work {
    LaunchShape shape;
    std::function<void()> body;
  };
  void enqueue(const LaunchShape& shape, std::function<void()> body);
  size_t queued() const;
  std::vector<Work> take_queue();  // what is queued, to be queued again later instead of being run now
  const Options& options() const;

  // Runs all queued kernels to their end. Fails with the first report, if there is any.
  Status synchronize();

  // Misuse ends a kernel at once; races and missing fences are collected (each place once).
  const std::vector<std::string>& reports() const;

  // Extra shared-memory cycles of ldmatrix and stmatrix because of bank conflicts, since construction.
  uint64_t bank_conflicts() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace mfs::core::simt::emulation
