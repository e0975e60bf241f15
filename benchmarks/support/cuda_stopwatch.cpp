#include <algorithm>

#include "benchmarks/support/bench.h"
#include "kernels/cuda/device.h"
#include "kernels/error.h"

namespace mfs::bench {
namespace {

void require(const Status& s) {
  if (!s) throw Error(s.code(), s.message());
}

class GraphTimer final : public Stopwatch {
 public:
  GraphTimer(const Cuda& cuda, int launches, const Operation& operation) : cuda_(cuda), launches_(launches) {
    require(operation());  // outside the capture: what a library loads or compiles at its first call
    require(wait(cuda));
    graph_ = CudaGraph(cuda, [&] {
      for (int i = 0; i < launches; ++i)
        if (Status s = operation(); !s) return s;
      return Status{};
    });
    seconds();  // warm
  }

  // The first launch covers the host's work for the second: an event in an idle stream would come before that.
  double seconds() override {
    require(graph_.launch(cuda_));
    require(begin_.record(cuda_));
    require(graph_.launch(cuda_));
    require(end_.record(cuda_));
    require(wait(cuda_));
    return end_.milliseconds_since(begin_) * 1e-3 / launches_;
  }

 private:
  Cuda cuda_;
  int launches_;
  CudaGraph graph_;
  CudaEvent begin_, end_;
};

}  // namespace

std::unique_ptr<Stopwatch> stopwatch(const Cuda& cuda, std::int64_t bytes, Operation operation) {
  constexpr std::int64_t kFewest = 4, kMost = 512;
  const std::int64_t wanted =
      static_cast<std::int64_t>(kCacheMultiple * settings().card.cache_bytes) / std::max<std::int64_t>(bytes, 1) + 1;
  return std::make_unique<GraphTimer>(cuda, static_cast<int>(std::clamp(wanted, kFewest, kMost)), operation);
}

}  // namespace mfs::bench
