// Mean IoU over data sets with simulated taps: the command line around the evaluation.
#include <algorithm>
#include <map>
#include <optional>

#include "tools/atomic_file.h"
#include "tools/encode.h"
#include "tools/eval_evaluator.h"
#include "tools/eval_report.h"
#include "tools/eval_sheet.h"
#include "tools/interrupt.h"
#include "tools/load_model.h"

namespace mfs::tools {
namespace {

struct Dataset {
  DatasetFolder folder;
  std::vector<Instance> instances;
};

void write(const std::string& path, Bytes content) { AtomicFile(path, content).commit(); }
void write(const std::string& path, const std::string& text) {
  write(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

// The pictures need masks, which are not kept: the worst instances are segmented once more.
void write_worst(const std::string& path, Evaluator& evaluator, const std::vector<Dataset>& datasets,
                 const std::vector<InstanceResult>& results, Console& console) {
  constexpr std::size_t kMost = 20;
  std::map<std::pair<std::string, std::string>, const Instance*> instances;
  for (const Dataset& dataset : datasets) {
    for (const Instance& i : dataset.instances) instances[{dataset.folder.name, i.name}] = &i;
  }
  std::vector<const InstanceResult*> worst;
  for (const InstanceResult& r : results) {
    if (r.error.empty()) worst.push_back(&r);
  }
  std::stable_sort(worst.begin(), worst.end(),
                   [](const InstanceResult* a, const InstanceResult* b) { return a->iou.back() < b->iou.back(); });
  worst.resize(std::min(worst.size(), kMost));
  ContactSheet sheet(worst.size());
  for (std::size_t i = 0; i < worst.size() && interrupting_signal() == 0; ++i) {
    const Instance& instance = *instances.at({worst[i]->dataset, worst[i]->name});
    const Scene scene = decode_instance(instance, read_instance(instance));
    sheet.add(scene, evaluator.segment(scene.photo, worst[i]->taps), worst[i]->taps, worst[i]->iou.back());
    char rank[48];
    std::snprintf(rank, sizeof rank, "#%zu %.4f ", i + 1, worst[i]->iou.back());
    console.detail(rank + worst[i]->dataset + ": " + worst[i]->name);
  }
  if (interrupting_signal() == 0) write(path, sheet.png());
}

// Appends to `results`; stops early when interrupted.
void evaluate(Evaluator& evaluator, const std::vector<Dataset>& datasets, std::vector<InstanceResult>& results,
              Console& console) {
  for (const Dataset& dataset : datasets) {
    for (const Instance& instance : dataset.instances) {
      if (interrupting_signal() != 0) return;
      console.progress(results.size(), dataset.folder.name + ": " + instance.name);
      InstanceResult result = evaluator.evaluate(dataset.folder.name, instance);
      // Files that are read while the signal arrives fail for that reason.
      if (!result.error.empty() && interrupting_signal() != 0) return;
      if (!result.error.empty()) console.error(result.error);
      results.push_back(std::move(result));
    }
  }
}

int run(EvalOptions options, Console& console) {
  if (options.weights.empty()) options.weights.push_back(find_weights());
  std::vector<Dataset> datasets;
  std::size_t total = 0;
  for (const DatasetFolder& folder : options.datasets) {
    datasets.push_back({folder, list_instances(folder, options.limit)});
    total += datasets.back().instances.size() * options.weights.size();
  }
  check_eval_outputs(options);
  catch_signals();
  std::optional<Journal> journal;
  if (!options.resume.empty()) {
    journal.emplace(options.resume);
    console.detail(options.resume + ": " + std::to_string(journal->size()) + " finished instances");
    if (journal->unreadable_lines() > 0) {
      console.line("note: " + options.resume + " has " + std::to_string(journal->unreadable_lines()) +
                   " lines that cannot be read; those instances are evaluated again");
    }
  }
  console.enable_progress(total);

  std::vector<InstanceResult> results;
  std::string device, precision;
  for (const std::string& weights : options.weights) {
    Evaluator evaluator(options, weights, journal ? &*journal : nullptr, console);
    device = evaluator.info().device;
    precision = evaluator.info().precision;
    if (evaluator.info().uses_taps == 0) console.line("note: " + weights + " uses no taps; they are ignored");
    evaluate(evaluator, datasets, results, console);
    const bool first = &weights == options.weights.data();
    if (first && !options.worst.empty()) write_worst(options.worst, evaluator, datasets, results, console);
    if (interrupting_signal() != 0) break;
  }
  if (interrupting_signal() != 0) {
    console.error("interrupted after " + std::to_string(results.size()) + " of " + std::to_string(total) + " instances" +
                  (journal ? "; the same command goes on from there" : ""));
    return kInterruptedStatus;
  }

  const std::vector<Summary> summaries = summarise(results, options.taps);
  if (!options.csv.empty()) write(options.csv, csv(results, options.taps));
  if (!options.report.empty()) write(options.report, report_json(results, summaries, options, device, precision));
  if (!options.export_clicks.empty()) write(options.export_clicks, clicks_json(results, datasets.size() > 1));
  std::string text = table(summaries, options.click);
  text.pop_back();  // the console ends the line
  if (options.json) {
    for (const Summary& s : summaries) console.data(json_line(s, options.click), false);
    console.line(text);
  } else {
    console.data(text, false);
  }
  const bool failed = std::any_of(summaries.begin(), summaries.end(), [](const Summary& s) { return s.failed > 0; });
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace mfs::tools

int main(int argc, char** argv) {
  using namespace mfs::tools;  // NOLINT: the program is this namespace's
  return run_program("mfs_eval", [&] {
    const std::optional<EvalOptions> options = parse_eval_options(argc, argv);
    if (!options) return 0;
    Console console("mfs_eval", options->quiet, options->verbose);
    return run(*options, console);
  });
}
