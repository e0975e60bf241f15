// Runs photos through the network in f32 and writes a copy of its weights with the ranges of the activations: what int8 needs.
#include <CLI/CLI.hpp>
#include <optional>

#include "tools/atomic_file.h"
#include "tools/command_line.h"
#include "tools/eval_clicks.h"
#include "tools/eval_dataset.h"
#include "tools/interrupt.h"
#include "tools/load_model.h"
#include "tools/read_clicks.h"

namespace mfs::tools {
namespace {

constexpr const char* kDescription =
    "Photos with taps -> a copy of the weights that --precision int8 and fp8 can run.\n\n"
    "  mfs_calibrate photos/*.jpg --clicks clicks.json -o calibrated.safetensors\n"
    "  mfs_calibrate --dataset data/photos-with-masks --limit 100 -o calibrated.safetensors\n";

constexpr const char* kFooter =
    "The network runs on the CPU in f32; of every activation that int8 and fp8 round, the largest value is kept.\n"
    "Take some dozens of photos like those that these will see, but none that its accuracy will be measured on.\n\n"
    "A data set is a folder with img/ (photos) and gt/ (masks of the same name: 255 object, 0 background, 128 ignored);\n"
    "the tap is the centre of the object.\n\n"
    "Exit status: 0 done; 1 a photo or the output failed (nothing is written); 2 usage; 3 weights; 4 out of memory, or a\n"
    "network that the engine cannot run; 130 interrupted.";

struct CalibrateOptions {
  std::vector<std::string> photos;
  std::string clicks, dataset, weights, output;
  std::size_t limit = 0;
  int threads = 0;
  bool quiet = false, verbose = false;
};

std::optional<CalibrateOptions> parse_calibrate_options(int argc, const char* const* argv) {
  CalibrateOptions o;
  CLI::App app(kDescription, "mfs_calibrate");
  app.footer(kFooter);
  app.set_version_flag("--version", [] { return std::string("mfs_calibrate ") + mfs_version() + "\n" + mfs_build_info(); });
  auto* photos = app.add_option("PHOTO", o.photos, "Photos, whose taps --clicks has")->type_name("");
  app.add_option("--clicks", o.clicks, "Their taps: {\"dog.jpg\": [[214,180]], ...}")->type_name("FILE.json")->needs(photos);
  auto* dataset = app.add_option("--dataset", o.dataset, "Photos with masks, instead")->type_name("DIR")->excludes(photos);
  app.add_option("--limit", o.limit, "Only N photos of the data set, evenly spaced [all]")
      ->type_name("N")
      ->needs(dataset)
      ->check(CLI::Range(1, 100'000'000).description(""));
  app.add_option("-o,--output", o.output, "The calibrated weights; replaced if it exists")
      ->type_name("FILE.safetensors")
      ->required();
  app.add_option("--weights", o.weights, "Checkpoint [the one that came with the program]")->type_name("FILE.safetensors");
  app.add_option("--threads", o.threads, "Threads of the network [all]")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  auto* quiet = app.add_flag("-q,--quiet", o.quiet, "Only errors");
  app.add_flag("-v,--verbose", o.verbose, "What is done, chosen and found")->excludes(quiet);
  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  if (o.photos.empty() && o.dataset.empty())
    throw UsageError("no photo: name photos with --clicks, or a folder with --dataset");
  return o;
}

// Runs in a session that observes.
class Observer {
 public:
  Observer(const CalibrateOptions& o, const std::string& weights, Console& console)
      : console_(console),
        model_(load_model(weights, {.device = "cpu", .precision = "f32", .size = {}, .threads = o.threads}, console)),
        session_(model_),
        uses_taps_(model_.info().uses_taps != 0) {
    session_.set_observing(true);
  }

  bool uses_taps() const { return uses_taps_; }
  void expect(std::size_t photos) { console_.enable_progress(photos); }
  void add(const std::string& name, const Photo& photo, const std::vector<Point>& taps) {
    console_.progress(done_++, name);
    try {
      session_.run(photo.view(), uses_taps_ ? taps : std::vector<Point>(), no_outputs());
    } catch (const Error& error) {
      if (error.status() == MFS_OUT_OF_MEMORY) throw;
      throw FileError(name + ": " + error.what());
    }
    console_.detail(name);
  }
  void write(const std::string& path) {
    session_.write_calibrated(path);
    console_.line(path + ": calibrated on " + std::to_string(done_) + " photos");
  }

 private:
  static mfs_outputs no_outputs() {
    mfs_outputs outputs{};
    outputs.struct_size = sizeof outputs;
    return outputs;
  }

  Console& console_;
  Model model_;
  Session session_;
  bool uses_taps_;
  std::size_t done_ = 0;
};

void observe_photos(const CalibrateOptions& o, Observer& observer) {
  const std::optional<ClicksFile> clicks = read_clicks(o.clicks);
  if (!clicks && observer.uses_taps()) throw UsageError("no tap: add --clicks FILE");
  observer.expect(o.photos.size());
  for (const std::string& path : o.photos) {
    if (interrupting_signal() != 0) return;
    const std::vector<Point>* taps = clicks ? clicks->find(path, path) : nullptr;
    if (!taps && observer.uses_taps()) throw UsageError("--clicks: '" + o.clicks + "' has no tap for " + path);
    const std::vector<std::uint8_t> file = read_regular_file(path);
    try {
      observer.add(path, decode_photo(file), taps ? *taps : std::vector<Point>());
    } catch (const ImageError& error) {
      throw FileError(path + ": " + error.what());
    }
  }
}

void observe_dataset(const CalibrateOptions& o, Observer& observer) {
  const std::vector<Instance> instances = list_instances({"", o.dataset}, o.limit);
  observer.expect(instances.size());
  for (const Instance& instance : instances) {
    if (interrupting_signal() != 0) return;
    if (!instance.problem.empty()) throw FileError(instance.problem);
    const Scene scene = decode_instance(instance, read_instance(instance));
    observer.add(instance.photo, scene.photo, {first_tap(scene.truth, {}, instance.name)});
  }
}

int run(const CalibrateOptions& o, Console& console) {
  AtomicFile(o.output, {});  // not committed: known to be writable before any work
  catch_signals();
  Observer observer(o, o.weights.empty() ? find_weights() : o.weights, console);
  if (o.dataset.empty())
    observe_photos(o, observer);
  else
    observe_dataset(o, observer);
  if (interrupting_signal() != 0) {
    console.error("interrupted; nothing was written");
    return kInterruptedStatus;
  }
  observer.write(o.output);
  return 0;
}

}  // namespace
}  // namespace mfs::tools

int main(int argc, char** argv) {
  using namespace mfs::tools;  // NOLINT: the program is this namespace's
  return run_program("mfs_calibrate", [&] {
    const std::optional<CalibrateOptions> options = parse_calibrate_options(argc, argv);
    if (!options) return 0;
    Console console("mfs_calibrate", options->quiet, options->verbose);
    return run(*options, console);
  });
}
