#include "tools/eval_options.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <utility>

#include "tools/atomic_file.h"

namespace mfs::tools {
namespace {

constexpr const char* kDescription =
    "Mean IoU of one-tap segmentation over data sets, with simulated taps: the paper's Tables 1 to 3.\n\n"
    "  mfs_eval --dataset GrabCut data/grabcut --click centre --weights mfs-resnet101.safetensors\n"
    "  mfs_eval --dataset A a/ --dataset B b/ --click jitter:1 --weights F --weights G --taps 3 --csv iou.csv --resume "
    "run.log\n";

constexpr const char* kFooter =
    "A data set is a folder with img/ (photos) and gt/ (masks of the same name: 255 object, 0 background, 128 ignored).\n"
    "prepare_dataset.py makes such folders from the usual distributions. NAME is a free label; the paper's numbers are shown\n"
    "beside ours for GrabCut, Berkeley, ECSSD, MSRA10K, VOC12, COCO-20 and COCO-60.\n\n"
    "Taps: centre: the rounded centre of mass, or the object's pixel nearest to the centre when that is not on the object.\n"
    "distance: the object's pixel farthest from its border. jitter:SEED: the centre moved by up to 50 pixels per axis, kept "
    "on\n"
    "the object; the same SEED gives the same taps. Further taps go to the distance point of what is still missed.\n\n"
    "The interval is a 95% bootstrap interval over instances (2000 resamples). With --json, standard output has one line per\n"
    "data set, weights file and number of taps, and the table goes to standard error.\n\n"
    "A run that was stopped goes on from where it was when the same command has --resume FILE; finished instances whose "
    "files,\n"
    "weights and settings are unchanged are taken from FILE.\n\n"
    "Exit status: 0 all done; 1 some images failed; 2 usage; 3 weights; 4 no such device, unsupported precision or out of\n"
    "memory; 130 interrupted.";

void check_datasets(const EvalOptions& o) {
  std::map<std::string, int> names;
  for (const DatasetFolder& dataset : o.datasets) {
    if (dataset.name.empty()) throw UsageError("--dataset: the NAME before '" + dataset.folder + "' is empty");
    if (names[dataset.name]++ > 0) throw UsageError("--dataset: two are called '" + dataset.name + "'");
  }
  std::map<std::string, int> weights;
  for (const std::string& file : o.weights) {
    if (weights[file]++ > 0) throw UsageError("--weights: '" + file + "' is given twice");
  }
}

}  // namespace

std::optional<EvalOptions> parse_eval_options(int argc, const char* const* argv) {
  EvalOptions o;
  std::vector<std::pair<std::string, std::string>> datasets;
  std::string click;

  CLI::App app(kDescription, "mfs_eval");
  app.footer(kFooter);
  app.set_version_flag("--version", [] { return std::string("mfs_eval ") + mfs_version() + "\n" + mfs_build_info(); });
  const auto add_list = [&](const char* name, auto& to, const char* words) {
    return app.add_option(name, to, words)->allow_extra_args(false);
  };

  add_list("--dataset", datasets, "A data set; repeat for several")->type_name("NAME DIR")->required();
  app.add_option("--limit", o.limit, "Only N instances of each data set, evenly spaced [all]")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000'000).description(""));
  app.add_option("--click", click, "Where the first tap goes: centre, distance or jitter:SEED")->type_name("HOW")->required();
  app.add_option("--taps", o.taps, "Up to K taps on each object [1]")
      ->type_name("K")
      ->check(CLI::Range(1, 100).description(""));

  add_list("--weights", o.weights, "Checkpoint; repeat for several [the one that came with the program]")
      ->type_name("FILE.safetensors")
      ->group("Network");
  add_network_options(app, o.network);

  const char* const outputs = "Outputs (files that exist are replaced)";
  app.add_option("--csv", o.csv, "IoU of every instance")->type_name("FILE.csv")->group(outputs);
  app.add_option("--report", o.report, "Settings, means and the IoU of every instance")->type_name("FILE.json")->group(outputs);
  app.add_option("--worst", o.worst, "Contact sheet of the 20 worst instances of the first weights file")
      ->type_name("FILE.png")
      ->group(outputs);
  app.add_option("--export-clicks", o.export_clicks, "The first taps, in the form that mfs_infer --clicks reads")
      ->type_name("FILE.json")
      ->group(outputs);
  app.add_option("--resume", o.resume, "Journal of finished instances: read, then appended to")
      ->type_name("FILE")
      ->group(outputs);

  const char* const messages = "Messages";
  app.add_flag("--json", o.json, "JSON lines on standard output")->group(messages);
  auto* quiet = app.add_flag("-q,--quiet", o.quiet, "Only results and errors")->group(messages);
  app.add_flag("-v,--verbose", o.verbose, "What is done, chosen and found")->group(messages)->excludes(quiet);

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  o.click = parse_protocol(click);
  o.session = session_options(o.network);
  for (auto& [name, folder] : datasets) o.datasets.push_back({name, folder});
  check_datasets(o);
  return o;
}

void check_eval_outputs(const EvalOptions& o) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto canonical = [&](const fs::path& path) { return fs::weakly_canonical(fs::absolute(path), error).string(); };
  std::map<std::string, std::string> taken;  // file or folder -> what it is
  for (const std::string& file : o.weights) taken[canonical(file)] = "--weights";
  for (const DatasetFolder& dataset : o.datasets) {
    for (const char* part : {"img", "gt"}) taken[canonical(fs::path(dataset.folder) / part)] = "--dataset " + dataset.name;
  }
  const std::pair<const char*, const std::string*> outputs[] = {{"--csv", &o.csv},
                                                                {"--report", &o.report},
                                                                {"--worst", &o.worst},
                                                                {"--export-clicks", &o.export_clicks},
                                                                {"--resume", &o.resume}};
  for (const auto& [option, path] : outputs) {
    if (path->empty()) continue;
    const std::string file = canonical(*path);
    for (const std::string& place : {file, fs::path(file).parent_path().string()}) {
      if (const auto other = taken.find(place); other != taken.end()) {
        throw UsageError(std::string(option) + ": '" + *path + "' belongs to " + other->second);
      }
    }
    taken[file] = option;
    if (path != &o.resume) AtomicFile(*path, {});  // not committed: leaves nothing
  }
}

}  // namespace mfs::tools
