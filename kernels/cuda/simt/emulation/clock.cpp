#include "kernels/cuda/simt/emulation/clock.h"

#include <algorithm>

namespace mfs::core::simt::emulation {

uint32_t Clock::at(Agent agent) const {
  for (const auto& [id, epochs] : groups_) {
    if (id == agent.group) return agent.slot < epochs->size() ? (*epochs)[agent.slot] : 0;
  }
  return 0;
}

std::shared_ptr<Clock::Epochs>& Clock::group(uint32_t id) {
  const auto place =
      std::lower_bound(groups_.begin(), groups_.end(), id, [](const auto& g, uint32_t x) { return g.first < x; });
  if (place != groups_.end() && place->first == id) return place->second;
  return groups_.insert(place, {id, nullptr})->second;
}

void Clock::set(Agent agent, uint32_t epoch) {
  std::shared_ptr<Epochs>& epochs = group(agent.group);
  if (!epochs) {
    epochs = std::make_shared<Epochs>();
  } else if (epochs.use_count() > 1) {
    epochs = std::make_shared<Epochs>(*epochs);
  }
  if (epochs->size() <= agent.slot) epochs->resize(agent.slot + 1);
  (*epochs)[agent.slot] = epoch;
}

void Clock::join(const Clock& other) {
  for (const auto& [id, theirs] : other.groups_) {
    std::shared_ptr<Epochs>& mine = group(id);
    if (mine == theirs) continue;
    if (!mine) {
      mine = theirs;
      continue;
    }
    const auto covers = [](const Epochs& big, const Epochs& small) {
      return big.size() >= small.size() && std::equal(small.begin(), small.end(), big.begin(), std::less_equal<>());
    };
    if (covers(*mine, *theirs)) continue;
    if (covers(*theirs, *mine)) {
      mine = theirs;
      continue;
    }
    if (mine.use_count() > 1) mine = std::make_shared<Epochs>(*mine);
    if (mine->size() < theirs->size()) mine->resize(theirs->size());
    for (size_t i = 0; i < theirs->size(); ++i) (*mine)[i] = std::max((*mine)[i], (*theirs)[i]);
  }
}

}  // namespace mfs::core::simt::emulation
