// mfs_benchmarks [--device cpu|cuda|cuda:N] [--threads N] [--turns N] [--seconds N] [Google Benchmark's options]: every kernel
// on the network's shapes. --turns: of each case on a GPU; --seconds: begins no case after so long.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "benchmarks/support/bench.h"
#include "kernels/error.h"

namespace mfs::bench {
namespace {

// Google Benchmark's own table has no room for ratios, and its rates (1.7.1) end in "/s/s".
class Table : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    std::printf("%s\n%-58s %10s %8s %8s %6s %10s %6s\n", to_string(settings().card).c_str(), "operation", "us", "GB/s",
                "TFLOP/s", "%peak", "peer us", "x peer");
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const std::string& name = run.run_name.function_name;
      if (run.error_occurred) {
        const bool no_time = run.error_message == kNoTime;
        if (no_time)
          ++left_out_;
        else
          std::printf("%-58s %s\n", name.c_str(), run.error_message.c_str()), failed_ = true;
        continue;
      }
      const auto value = [&](const std::string& counter) { return run.counters.at(counter).value; };
      std::printf("%-58s %10.2f %8.1f %8.3f", name.c_str(), value("us"), value("GB/s"), value("TFLOP/s"));
      if (run.counters.contains("% of peak"))
        std::printf(" %6.1f", value("% of peak"));
      else
        std::printf(" %6s", "-");
      if (run.counters.contains("peer us")) {
        std::printf(" %10.2f %6.3f", value("peer us"), value("peer us") / value("us"));
        const std::string variant = name.substr(name.find_last_of(' ') + 1);
        for (const auto& [counter, peer] : run.counters)
          if (counter.ends_with(" us")) add(variant, counter.substr(0, counter.size() - 3), value("us"), peer, value("count"));
      }
      std::printf("  %s\n", run.report_label.c_str());
      std::fflush(stdout);
    }
  }

  void Finalize() override {
    if (left_out_ > 0) std::printf("left out for want of time: %d cases\n", left_out_);
    std::map<std::string, int> libraries;
    for (const auto& [key, mean] : means_) ++libraries[key.first];
    for (const auto& [key, mean] : means_) {
      if (key.second == kFaster && libraries[key.first] <= 2) continue;  // than nobody
      std::printf(
          "%s, %g convolutions as often as the network has them: geometric mean %.3f x %s; in all %.0f us, %s %.0f us\n",
          key.first.c_str(), mean.count, std::exp(mean.logs / mean.count), key.second.c_str(), mean.ours, key.second.c_str(),
          mean.theirs);
    }
  }

  bool failed() const { return failed_; }

 private:
  static constexpr const char* kFaster = "the faster peer";
  struct Mean {
    double logs = 0, count = 0, ours = 0, theirs = 0;
  };
  void add(const std::string& variant, const std::string& library, double ours, double theirs, double count) {
    Mean& mean = means_[{variant, library == "peer" ? kFaster : library}];
    mean.logs += count * std::log(theirs / ours), mean.count += count;
    mean.ours += count * ours, mean.theirs += count * theirs;
  }

  std::map<std::pair<std::string, std::string>, Mean> means_;
  bool failed_ = false;
  int left_out_ = 0;
};

// Takes `name VALUE` out of the arguments; null if it is absent.
const char* take(int& argc, char** argv, const char* name) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], name) != 0) continue;
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    const int taken = std::min(2, argc - i);
    std::rotate(argv + i, argv + i + taken, argv + argc);
    argc -= taken;
    return value;
  }
  return nullptr;
}

#if MFS_HAVE_CUDA
void choose_cuda(const std::string& device) {
  std::string why_none;
  const std::vector<CudaDeviceInfo> devices = cuda_devices(why_none);
  if (devices.empty()) throw Error(Code::kNoDevice, why_none);
  const int index = device.starts_with("cuda:") ? std::atoi(device.c_str() + 5) : devices.front().index;
  const auto found = std::ranges::find(devices, index, &CudaDeviceInfo::index);
  if (found == devices.end()) throw Error(Code::kNoDevice, "there is no usable device " + device);
  if (const Status s = select_device(index); !s) throw Error(s.code(), s.message());
  static const CudaStream stream;
  settings().cuda = stream.on(*found);
  settings().card = measure_device(settings().cuda, *found);
  register_all(static_cast<const Cuda*>(nullptr));
}
#endif

void choose(const std::string& device, int threads) {
#if MFS_HAVE_CPU
  if (device == "cpu") {
    settings().cpu.threads = threads > 0 ? threads : omp_get_num_procs();
    settings().card = measure_device(settings().cpu);
    return register_all(static_cast<const Cpu*>(nullptr));
  }
#endif
#if MFS_HAVE_CUDA
  if (device == "cuda" || device.starts_with("cuda:")) return choose_cuda(device);
#endif
  throw Error(Code::kNoDevice, "this build has no engine for " + device + " (" + std::to_string(threads) + " threads)");
}

void describe_in_json(const DeviceCard& card) {
  const auto note = [](const char* key, const std::string& value) { benchmark::AddCustomContext(key, value); };
  note("device", card.device);
  note("details", card.details);
  note("copy GB/s", std::to_string(card.copy_gb_per_s));
  note("f32 TFLOP/s", std::to_string(card.f32_gflop_per_s * 1e-3));
  note("16-bit TFLOP/s", std::to_string(card.half_gflop_per_s * 1e-3));
  note("16-bit by", card.half_by);
}

int run(int argc, char** argv) {
  const char* const threads = take(argc, argv, "--threads");
  const char* const device = take(argc, argv, "--device");
  const char* const turns = take(argc, argv, "--turns");
  const char* const seconds = take(argc, argv, "--seconds");
  for (const auto& [name, value] : {std::pair{"--threads", threads}, {"--turns", turns}, {"--seconds", seconds}})
    if (value && std::atoi(value) < 1) return std::fprintf(stderr, "%s needs a positive number\n", name), 2;
  if (turns) settings().turns = std::atoi(turns);
  if (seconds) settings().seconds = std::atoi(seconds);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  choose(device ? device : MFS_HAVE_CPU ? "cpu" : "cuda", threads ? std::atoi(threads) : 0);
  describe_in_json(settings().card);
  Table table;
  benchmark::RunSpecifiedBenchmarks(&table);
  return table.failed() ? 1 : 0;
}

}  // namespace
}  // namespace mfs::bench

int main(int argc, char** argv) {
  try {
    return mfs::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mfs_benchmarks: %s\n", e.what());
    return 1;
  }
}
