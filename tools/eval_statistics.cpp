#include "tools/eval_statistics.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "tools/eval_distance.h"
#include "tools/eval_random.h"

namespace mfs::tools {

double intersection_over_union(const Mask& truth, const Mask& prediction) {
  long long both = 0, either = 0;
  for (std::size_t i = 0; i < truth.pixels.size(); ++i) {
    if (truth.pixels[i] == kIgnored) continue;
    const bool wanted = truth.pixels[i] == kObject, found = prediction.pixels[i] == kObject;
    both += wanted && found;
    either += wanted || found;
  }
  return either == 0 ? 1.0 : static_cast<double>(both) / static_cast<double>(either);
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Interval bootstrap_interval(std::span<const double> values) {
  constexpr std::size_t kResamples = 2000, kBeyond = kResamples / 40;  // 2.5% on either side
  constexpr std::uint64_t kSeed = 95;
  Random random(kSeed);
  std::vector<double> means(kResamples), resample(values.size());
  for (double& m : means) {
    for (double& v : resample) v = values[random.below(values.size())];
    m = mean(resample);
  }
  std::sort(means.begin(), means.end());
  return {means[kBeyond], means[kResamples - 1 - kBeyond]};
}

}  // namespace mfs::tools
