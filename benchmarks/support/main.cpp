// mfs_benchmarks [--threads N] [Google Benchmark's options]: every kernel on the network's shapes.
#include <omp.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "benchmarks/support/bench.h"

namespace mfs::bench {
namespace {

// Google Benchmark's own table has no room for ratios, and its rates (1.7.1) end in "/s/s".
class Table : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    std::printf("%s\n%-58s %10s %8s %9s %6s %10s %6s\n", to_string(settings().card).c_str(), "operation", "us", "GB/s",
                "GFLOP/s", "%peak", "peer us", "ratio");
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const std::string name = run.run_name.function_name;
      if (run.error_occurred) {
        std::printf("%-58s %s\n", name.c_str(), run.error_message.c_str());
        failed_ = true;
        continue;
      }
      const auto value = [&](const char* counter) { return run.counters.at(counter).value; };
      std::printf("%-58s %10.1f %8.1f %9.1f %6.1f", name.c_str(), value("us"), value("GB/s"), value("GFLOP/s"),
                  value("% of peak"));
      if (run.counters.contains("peer us")) {
        const double ratio = value("us") / value("peer us");
        std::printf(" %10.1f %6.3f", value("peer us"), ratio);
        Mean& mean = means_[name.substr(name.find_last_of(' ') + 1)];
        mean.logs += std::log(ratio), ++mean.count;
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }

  void Finalize() override {
    for (const auto& [dtype, mean] : means_)
      std::printf("geometric mean of ratios to oneDNN alone, %s: %.3f over %d convolutions\n", dtype.c_str(),
                  std::exp(mean.logs / mean.count), mean.count);
  }

  bool failed() const { return failed_; }

 private:
  struct Mean {
    double logs = 0;
    int count = 0;
  };
  std::map<std::string, Mean> means_;
  bool failed_ = false;
};

// Takes `--threads N` out of the arguments; 0 if it is absent, -1 if it is not a positive number.
int take_threads(int& argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--threads") != 0) continue;
    const int threads = i + 1 < argc ? std::atoi(argv[i + 1]) : 0;
    const int taken = std::min(2, argc - i);
    std::rotate(argv + i, argv + i + taken, argv + argc);
    argc -= taken;
    return threads > 0 ? threads : -1;
  }
  return 0;
}

int run(int argc, char** argv) {
  const int threads = take_threads(argc, argv);
  if (threads < 0) return std::fprintf(stderr, "--threads needs a positive number\n"), 2;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  settings().cpu.threads = threads ? threads : omp_get_num_procs();
  settings().card = measure_device(settings().cpu.threads);
  Table table;
  benchmark::RunSpecifiedBenchmarks(&table);
  return table.failed() ? 1 : 0;
}

}  // namespace
}  // namespace mfs::bench

int main(int argc, char** argv) { return mfs::bench::run(argc, argv); }
