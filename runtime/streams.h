// Steps of a network on two CUDA streams: which of them wait for which, and which may run at the same time.
#pragma once

#include <vector>

#include "runtime/lowered.h"

namespace mfs::core {

// Steps of one stream run one after the other, in the network's order. Where data asks for more, a step waits for a step of the
// other stream, and so for all before that one. Stream 1 begins and ends inside stream 0. The order of one stream, that of the
// steps' numbers, keeps everything that two streams keep.
class StreamOrder {
 public:
  // Instead of a step: the beginning of the run; nothing to wait for.
  static constexpr int kStart = -1, kNothing = -2;

  explicit StreamOrder(std::size_t steps) : streams_(steps + 1), seen_(steps + 1, kStart), awaits_(steps + 1, kNothing) {}
  // `streams`: 0 or 1 for every step. Looks at what the steps read and write, so buffers must not be shared yet.
  StreamOrder(const Lowered& network, std::vector<int> streams);

  int end() const { return static_cast<int>(streams_.size()) - 1; }  // the moment after all steps, as a step of stream 0
  int stream(int step) const { return streams_[static_cast<std::size_t>(step)]; }
  // The step of the other stream that this one must wait for, kStart (the first step of stream 1) or kNothing.
  int awaits(int step) const { return awaits_[static_cast<std::size_t>(step)]; }
  // Whether `a`, a step or kStart, is always complete when `b`, a step or end(), begins.
  bool before(int a, int b) const {
    return a < b && (a == kStart || stream(a) == stream(b) || a <= seen_[static_cast<std::size_t>(b)]);
  }

 private:
  std::vector<int> streams_;
  std::vector<int> seen_;  // the last step of the other stream that is complete when this one begins
  std::vector<int> awaits_;
};

// Stream 0 for the longest chain of steps that need one another, stream 1 for what can run beside it: the fusion branch beside
// the backbone, and, where the head is several kernels, its large convolution beside the pooled context.
std::vector<int> side_branches(const Lowered& network);

}  // namespace mfs::core
