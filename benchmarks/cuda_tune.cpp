// mfs_cuda_tune: for every convolution that the Hopper family can do, the kernel that makes the whole network fastest. Each
// candidate is timed where it will run: in the network's CUDA graph, all convolutions of its kind changed at once, turn by turn
// with the others. Writes kernels/cuda/conv_hopper_table.h.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>

#include "benchmarks/support/graph_turns.h"
#include "benchmarks/support/hopper_table_source.h"
#include "kernels/cuda/conv_hopper_gate_plan.h"
#include "kernels/cuda/conv_hopper_head_plan.h"
#include "kernels/cuda/hopper.h"
#include "kernels/error.h"
#include "kernels/float16.h"
#include "runtime/conv_problem.h"
#include "runtime/cuda_steps.h"
#include "runtime/gate_fusion.h"
#include "runtime/head_fusion.h"

namespace mfs::bench {
namespace {

using namespace mfs::core;  // NOLINT: benchmarks are about nothing else

using Clock = std::chrono::steady_clock;

constexpr int kMostCandidates = 8;
constexpr double kWorstEstimate = 1.7;  // of the model's best: what it finds slower is not tried
constexpr double kMicroseconds = 25e3;  // for each candidate, within reason
constexpr double kGain = 0.999;         // of the network's time: less is noise

struct Options {
  std::vector<std::string> weights, precisions{"f16"};
  std::vector<int> batches{1, 2, 4, 8, 16}, size;  // width, height
  std::string table;
  double seconds = 240;
  int problems = 1000, rounds = 0;
};

// One way to run the network.
class Trial {
 public:
  Trial(const WeightsFile& file, PackCache& packs, const CudaDeviceInfo& device, Cuda cuda, const NetworkOptions& options,
        std::vector<HopperTuned> entries)
      : entries_(std::move(entries)), table_{device.name, "", cuda.multiprocessors, entries_} {
    cuda.tuned = &table_;
    network_.emplace(file, packs, cuda, options);
    arena_ = CudaMemory(MemoryKind::kDevice, network_->arena_bytes());
    network_->place(arena_.data());
    steps_.emplace(*network_, device);
    graph_ = CudaGraph(cuda, [&] { return steps_->queue(cuda); });
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  const PlannedNetwork<Cuda>& network() const { return *network_; }
  Queue queue(const Cuda& cuda) const {
    return [this, cuda] { return graph_.launch(cuda); };
  }

 private:
  std::vector<HopperTuned> entries_;
  HopperTable table_;
  std::optional<PlannedNetwork<Cuda>> network_;
  CudaMemory arena_;
  std::optional<CudaSteps> steps_;
  CudaGraph graph_;
};

// A convolution of the network, as the table knows it, and what can do it.
struct Kind {
  Conv problem;
  std::vector<HopperPlan> plans;
  bool portable;  // that family can do it, too
  int count = 1;  // in the network
};

std::vector<HopperTuned> candidates(const Kind& kind) {
  std::vector<HopperTuned> all;
  for (const HopperPlan& plan : kind.plans) {
    if (plan.cycles > kWorstEstimate * kind.plans.front().cycles || all.size() == kMostCandidates) break;
    all.push_back({kind.problem, kHopperTiles[plan.tile], plan.cluster_rows, plan.cluster_columns});
  }
  if (kind.portable) all.push_back({kind.problem});
  return all;
}

std::string kernel_text(const HopperTuned& t) {
  if (t.portable()) return "portable";
  const auto tile = std::ranges::find(kHopperTiles, t.tile) - kHopperTiles;
  return HopperPlan{static_cast<int>(tile), t.cluster_rows, t.cluster_columns}.text();
}

class Tuner {
 public:
  Tuner(const Options& options, const CudaDeviceInfo& device)
      : options_(options), device_(device), cuda_(stream_.on(device)), start_(Clock::now()) {}

  const std::vector<HopperTuned>& found() const { return found_; }

  void tune(const WeightsFile& file, PackCache& packs, const std::string& precision, int batch) {
    const PreprocessDescription& p = file.preprocess();
    NetworkOptions network{.height = options_.size.empty() ? p.height : options_.size[1],
                           .width = options_.size.empty() ? p.width : options_.size[0],
                           .dtype = DType::kF16,
                           .host_threads = 4,
                           .batch = batch,
                           .keep_input = true};
    if (precision != "f16") {
      network.calibration = &*file.calibration(), network.narrow = precision == "int8" ? DType::kU8 : DType::kE4m3;
    }
    const auto trial = [&](std::vector<HopperTuned> entries) {
      auto made = std::make_unique<Trial>(file, packs, device_, cuda_, network, std::move(entries));
      fill(made->network().input());
      return made;
    };
    const auto by_model = trial({});
    const int few = options_.rounds > 0 ? options_.rounds : 5, warm_up = few / 2;
    const double model_us = timed(cuda_, few, {by_model->queue(cuda_)}, warm_up).front().median;
    const int rounds = options_.rounds > 0 ? options_.rounds : std::clamp(static_cast<int>(kMicroseconds / model_us), 7, 41);
    std::printf("%s, batch %d: %.1f us by the model, %d rounds of each candidate\n", precision.c_str(), batch, model_us,
                rounds);

    auto present = trial(found_);
    int left = options_.problems;
    for (const Kind& kind : kinds_of(by_model->network())) {
      if (left-- == 0 || out_of_time()) break;
      const std::vector<HopperTuned> tried = candidates(kind);
      std::vector<std::unique_ptr<Trial>> trials;
      std::vector<Queue> queues{present->queue(cuda_)};
      for (const HopperTuned& candidate : tried) {
        std::vector<HopperTuned> entries = found_;
        entries.push_back(candidate);
        trials.push_back(trial(std::move(entries)));
        queues.push_back(trials.back()->queue(cuda_));
      }
      const std::vector<Spread> times = timed(cuda_, rounds, queues, warm_up);
      const auto best = std::ranges::min_element(times.begin() + 1, times.end(), {}, &Spread::median);
      const std::size_t index = static_cast<std::size_t>(best - times.begin()) - 1;
      // The best of many is also the luckiest: it has to be better once more.
      bool better = best->median < kGain * times.front().median;
      if (better) {
        const std::vector<Spread> again = timed(cuda_, rounds, {queues.front(), queues[index + 1]}, 0);
        better = again[1].median < kGain * again[0].median;
      }
      std::printf("  %2d x %-52s %9.1f us, best %9.1f: %s%s\n", kind.count, text(kind.problem).c_str(), times.front().median,
                  best->median, kernel_text(tried[index]).c_str(), better ? "" : " (kept)");
      std::fflush(stdout);
      if (!better) continue;
      found_.push_back(tried[index]);
      present = std::move(trials[index]);
    }
    const std::vector<Spread> ends = timed(cuda_, rounds, {by_model->queue(cuda_), present->queue(cuda_)}, warm_up);
    std::printf("  %.1f us by the model, %.1f us with the table, %.3f times as fast\n", ends[0].median, ends[1].median,
                ends[0].median / ends[1].median);
  }

  bool out_of_time() const { return std::chrono::duration<double>(Clock::now() - start_).count() > options_.seconds; }

 private:
  // Values as varied as a photo's: what tensor cores draw, and so their clock, depends on them.
  static void fill(const MutView& input) {
    std::minstd_rand random(1);
    std::uniform_real_distribution<float> uniform(-2, 2);
    std::vector<Float16> values;
    for (std::int64_t i = 0; i < input.shape.elements(); ++i) values.emplace_back(uniform(random));
    require(upload(input.data, values.data(), values.size() * sizeof(Float16)));
  }

  // Those that have no entry yet; those that are estimated to take longest first.
  std::vector<Kind> kinds_of(const PlannedNetwork<Cuda>& planned) const {
    const Lowered& network = planned.lowered();
    std::vector<Kind> kinds;
    for (const LoweredOp& op : network.ops) {
      std::optional<Kind> kind;
      if (const auto* conv = std::get_if<ConvStep>(&op.step)) {
        const Conv problem = problem_of(network, *conv);
        if (hopper_takes(problem))
          kind = {tuned_problem(problem), hopper_plans(problem, hopper_room(cuda_)), !is_narrow(problem.dtype)};
      } else if (const auto* gated = std::get_if<ConvGateStep>(&op.step)) {
        const ConvGate gate = gate_of(*gated, network);
        kind = {tuned_problem(gate.conv), hopper_gate_plans(gate, hopper_room(cuda_)), false};
      } else if (const auto* fused = std::get_if<ConvHeadStep>(&op.step)) {
        const ConvHead head = head_of(*fused, network);
        kind = {tuned_problem(head.conv), hopper_head_plans(head, hopper_head_tiles(head), hopper_room(cuda_)), false};
      }
      if (!kind || std::ranges::find(found_, kind->problem, &HopperTuned::problem) != found_.end()) continue;
      const auto known = std::ranges::find(kinds, kind->problem, &Kind::problem);
      if (known == kinds.end())
        kinds.push_back(std::move(*kind));
      else
        ++known->count;
    }
    std::ranges::stable_sort(kinds, std::ranges::greater(), [](const Kind& k) { return k.count * k.plans.front().cycles; });
    return kinds;
  }

  const Options& options_;
  const CudaDeviceInfo& device_;
  CudaStream stream_;
  Cuda cuda_;
  Clock::time_point start_;
  std::vector<HopperTuned> found_;
};

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16] = {};
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

// The table's file, which it replaces as a whole. Tried before anything is measured.
class TableFile {
 public:
  explicit TableFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") { write_partial(""); }
  ~TableFile() { std::remove(partial_.c_str()); }
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  void write(const HopperTable& table) const {
    write_partial(table_source(table));
    std::filesystem::rename(partial_, path_);
  }

 private:
  void write_partial(const std::string& text) const {
    std::ofstream out(partial_);
    if (!(out << text).flush()) throw Error(Code::kIo, "cannot write " + partial_);
  }

  std::string path_, partial_;
};

int run(int argc, char** argv) {
  CLI::App app{"Finds for every convolution on a Hopper GPU the kernel that makes the whole network fastest"};
  Options o;
  app.add_option("--weights", o.weights, "weights files, the most important first")->required()->check(CLI::ExistingFile);
  app.add_option("--precision", o.precisions, "f16 (also for bf16); int8 and fp8 for weights that are calibrated")
      ->check(CLI::IsMember({"f16", "int8", "fp8"}))
      ->capture_default_str();
  app.add_option("--batch", o.batches, "photos per run")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--size", o.size, "network size WxH; default the weights'")->delimiter('x')->expected(2);
  app.add_option("--seconds", o.seconds, "begins nothing new after so long")->capture_default_str();
  app.add_option("--problems", o.problems, "of a network, at most")->check(CLI::PositiveNumber);
  app.add_option("--rounds", o.rounds, "runs of each candidate; default as many as give steady medians")
      ->check(CLI::PositiveNumber);
  app.add_option("--table", o.table, "file to write: kernels/cuda/conv_hopper_table.h")->required();
  CLI11_PARSE(app, argc, argv);

  std::string why_none;
  const std::vector<CudaDeviceInfo> devices = cuda_devices(why_none);
  if (devices.empty()) throw Error(Code::kNoDevice, why_none);
  const CudaDeviceInfo& device = devices.front();
  if (!has_hopper({.capability = device.capability})) {
    std::fprintf(stderr, "mfs_cuda_tune: %s is no Hopper GPU, or this build has no code for one\n", device.name.c_str());
    return 77;  // skipped
  }
  require(select_device(device.index));
  Tuner tuner(o, device);
  const TableFile table(o.table);
  const std::string date = today();
  bool written = false;
  std::map<std::string, std::pair<std::shared_ptr<const WeightsFile>, PackCache>> networks;
  for (const int batch : o.batches) {
    for (const std::string& precision : o.precisions) {
      for (const std::string& weights : o.weights) {
        if (tuner.out_of_time()) break;
        auto& [file, packs] = networks[weights];
        if (!file) file = WeightsFile::open(weights);
        if (precision != "f16" && !file->calibration()) {
          std::printf("%s is not calibrated, no %s\n", weights.c_str(), precision.c_str());
          continue;
        }
        tuner.tune(*file, packs, precision, batch);
        table.write({device.name, date, device.multiprocessors, tuner.found()});
        written = true;
      }
    }
  }
  if (written) std::printf("%s: %zu entries in %s\n", device.name.c_str(), tuner.found().size(), o.table.c_str());
  return 0;
}

}  // namespace
}  // namespace mfs::bench

int main(int argc, char** argv) {
  try {
    return mfs::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mfs_cuda_tune: %s\n", e.what());
    return 1;
  }
}
