// Vector clocks. An agent is one emulated thread or one asynchronous operation; agents of a cluster form a group, so that a
// clock is a short list of shared arrays, and joining two clocks that already agree is a pointer comparison.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace mfs::core::simt::emulation {

struct Agent {
  uint32_t group = 0;
  uint32_t slot = 0;
  friend bool operator==(const Agent&, const Agent&) = default;
};

class Clock {
 public:
  uint32_t at(Agent agent) const;
  void set(Agent agent, uint32_t epoch);
  void join(const Clock& other);

 private:
  using Epochs = std::vector<uint32_t>;
  std::vector<std::pair<uint32_t, std::shared_ptr<Epochs>>> groups_;  // sorted; arrays are copied before a write if shared
  std::shared_ptr<Epochs>& group(uint32_t id);
};

// What happened before now: `seen` is ordered before, `fenced` also made visible to the async proxy (TMA, wgmma).
struct Knowledge {
  Clock seen, fenced;
  uint32_t grids = 0;  // all kernels of the stream up to this one are complete

  void join(const Knowledge& other) {
    seen.join(other.seen);
    fenced.join(other.fenced);
    if (other.grids > grids) grids = other.grids;
  }
};

}  // namespace mfs::core::simt::emulation
