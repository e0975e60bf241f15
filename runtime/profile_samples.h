// Times of one step over the profiled runs: the last kMost of them, so that a run that is profiled allocates nothing.
#pragma once

#include <algorithm>
#include <vector>

namespace mfs::core {

class ProfileSamples {
 public:
  static constexpr std::size_t kMost = 1000;

  void start() { samples_.clear(), samples_.reserve(kMost), next_ = 0; }
  void add(double microseconds) {
    if (samples_.size() < kMost) return samples_.push_back(microseconds);
    samples_[next_++ % kMost] = microseconds;
  }
  // 0 for no samples.
  double median() const {
    if (samples_.empty()) return 0;
    std::vector<double> sorted = samples_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::ranges::nth_element(sorted, middle);
    return *middle;
  }

 private:
  std::vector<double> samples_;
  std::size_t next_ = 0;
};

}  // namespace mfs::core
