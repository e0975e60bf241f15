// The table of --profile and the timeline of --trace.
#pragma once

#include <string>
#include <vector>

#include "mfs/mfs.hpp"

namespace mfs::tools {

// What "% of peak" refers to. An operation's share is the time it would need at the peaks (the longer of its bytes at
// `gigabytes` and its flops at `teraflops`) over the time it took.
struct Peak {
  double gigabytes = 0, teraflops = 0;  // per second
  std::string origin;                   // how they were obtained
};

// Bandwidth: for the CPU a copy of arrays larger than any cache, by `threads` threads; for other devices, which cannot be
// reached from here, the best of the entries. Flops: the best of the entries.
Peak measure_peak(const std::vector<ProfileEntry>& entries, bool cpu, int threads);

// Lines of text: every operation in execution order, then totals per kind of operation.
std::string profile_table(const std::vector<ProfileEntry>& entries, const Peak& peak);

// Chrome trace events (chrome://tracing, Perfetto).
class Trace {
 public:
  // Stages of a photo; `start` and `length` in microseconds since the program's start.
  void add_stage(const std::string& name, const std::string& photo, double start, double length);
  // The operations of a run, laid end to end from `start` on, each as long as its median.
  void add_operations(const std::vector<ProfileEntry>& entries, double start);
  std::string json() const;

 private:
  struct Event {
    std::string name, category, arguments;  // arguments: JSON
    double start, length;
    int track;
  };
  std::vector<Event> events_;
};

}  // namespace mfs::tools
