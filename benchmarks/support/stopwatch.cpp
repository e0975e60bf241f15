#include "benchmarks/support/stopwatch.h"

#include <algorithm>

#include "kernels/error.h"

namespace mfs::bench {
namespace {

class CallTimer final : public Stopwatch {
 public:
  explicit CallTimer(Operation operation) : operation_(std::move(operation)) {}

  double seconds() override {
    const double begin = seconds_now();
    const core::Status s = operation_();
    const double taken = seconds_now() - begin;
    if (!s) throw core::Error(s.code(), s.message());
    return taken;
  }

 private:
  Operation operation_;
};

}  // namespace

std::unique_ptr<Stopwatch> stopwatch(const core::Cpu&, std::int64_t, Operation operation) {
  return std::make_unique<CallTimer>(std::move(operation));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace mfs::bench
