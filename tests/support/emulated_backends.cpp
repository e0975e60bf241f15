#include <cstdlib>
#include <deque>
#include <string>

#include "kernels/cuda/simt/emulation/machine.h"
#include "tests/support/backends.h"
#include "tests/support/memory.h"

namespace mfs::core::test {
namespace {

using namespace simt::emulation;

// What is worth the time of the first schedule, and of the others: about a second each.
constexpr std::int64_t kMostFirst = MFS_TEST_RACES ? 300'000 : 400'000'000, kMost = MFS_TEST_RACES ? 300'000 : 4'000'000;

struct Schedule {
  std::string name;
  Machine machine;

  explicit Schedule(const Options& o)
      : name(std::string("emulated, ") + kCompletions[static_cast<int>(o.completion)] + ", " +
             kOrders[static_cast<int>(o.order)] + " " + std::to_string(o.seed)),
        machine(o) {}

  static constexpr const char* kCompletions[] = {"early", "late", "random"};
  static constexpr const char* kOrders[] = {"forward", "reverse", "random"};
};

std::deque<Schedule>& schedules() {
  static std::deque<Schedule> all;
  if (!all.empty()) return all;
  for (const Completion completion : {Completion::kRandom, Completion::kLate, Completion::kEarly}) {
    for (const Order order : {Order::kRandom, Order::kReverse, Order::kForward}) {
      const auto seed = static_cast<std::uint32_t>(all.size() + 1);
      if (MFS_TEST_RACES && order != Order::kRandom) continue;  // the detector sees what any order could do
      all.emplace_back(Options{.seed = seed, .order = order, .completion = completion, .detect_races = MFS_TEST_RACES != 0});
    }
  }
  return all;
}

}  // namespace

const std::vector<Backend>& backends() {
  static std::vector<Backend> all;
  if (!all.empty()) return all;
  for (Schedule& s : schedules()) {
    const Cuda cuda{.stream = &s.machine, .multiprocessors = 4, .capability = 90, .programmatic = true};
    all.push_back({s.name.c_str(), cuda, all.empty() ? kMostFirst : kMost});
  }
  return all;
}

Status finish(const Backend& backend) { return static_cast<Machine*>(backend.device.stream)->synchronize(); }

void* allocate(std::size_t bytes) { return std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment); }
void release(void* p) { std::free(p); }

}  // namespace mfs::core::test
