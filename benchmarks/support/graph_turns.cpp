#include "benchmarks/support/graph_turns.h"

#include <algorithm>

#include "kernels/error.h"

namespace mfs::bench {

using namespace core;  // NOLINT: benchmarks are about nothing else

void require(const Status& s) {
  if (!s) throw Error(s.code(), s.message());
}

Spread spread_of(std::vector<double> samples) {
  std::ranges::sort(samples);
  return {samples[samples.size() / 2], samples[samples.size() * 99 / 100]};
}

std::vector<Spread> timed(const Cuda& cuda, int repeat, const std::vector<Queue>& queues, int warm_up) {
  for (int i = 0; i < warm_up; ++i)
    for (const Queue& queue : queues) require(queue());
  const std::vector<CudaEvent> events(static_cast<std::size_t>(repeat) * queues.size() + 1);
  require(events[0].record(cuda));
  for (std::size_t i = 1; i < events.size(); ++i) {
    require(queues[(i - 1) % queues.size()]());
    require(events[i].record(cuda));
  }
  require(wait(cuda));
  std::vector<std::vector<double>> samples(queues.size());
  for (std::size_t i = 1; i < events.size(); ++i)
    samples[(i - 1) % queues.size()].push_back(1e3 * events[i].milliseconds_since(events[i - 1]));
  std::vector<Spread> spreads(queues.size());
  std::ranges::transform(samples, spreads.begin(), spread_of);
  return spreads;
}

}  // namespace mfs::bench
