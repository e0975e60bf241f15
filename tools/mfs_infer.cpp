// Photos in, masks out: the command line around the library's public interface.
#include <algorithm>
#include <memory>
#include <optional>

#include "tools/atomic_file.h"
#include "tools/console.h"
#include "tools/interrupt.h"
#include "tools/jobs.h"
#include "tools/options.h"
#include "tools/read_clicks.h"
#include "tools/segmenter.h"

namespace mfs::tools {
namespace {

void report(const PhotoResult& result, const Options& options, const ModelInfo& model, Console& console) {
  // Sentences about files name the file already.
  if (result.orientation != 1) {
    console.detail(result.input + ": EXIF orientation " + std::to_string(result.orientation) + " applied");
  }
  const bool named = result.error.starts_with(result.input + ": ");
  if (result.status == PhotoResult::Status::kFailed) {
    console.error(named ? result.error : (result.input == "-" ? "standard input" : result.input) + ": " + result.error);
  } else if (!options.json && !console.shows_progress()) {
    console.line(words(result, model));
  }
  if (options.json) console.data(json_line(result, model), writes_to_stdout(options));
}

// The taps are a matter of the whole command line, not of one photo, when no option gives any.
void check_taps_are_given(const Options& options, const ModelInfo& model, Console& console) {
  const bool given = !options.taps.empty() || !options.clicks_file.empty();
  if (model.uses_taps != 0 && !given) throw UsageError("no tap: where is the object? Add --click X,Y or --clicks FILE");
  if (model.uses_taps == 0 && given) console.line("note: this network uses no taps; they are ignored");
}

// Every photo's taps; names in --clicks that no photo has are likely misspelt, which is worth knowing before a night's work.
void assign_taps(Jobs& jobs, const Options& options, const std::optional<ClicksFile>& clicks, Console& console) {
  for (Job& job : jobs.list) job.taps = clicks ? clicks->find(job.name, job.input) : &options.taps;
  if (!jobs.batch || !clicks) return;
  const std::vector<std::string> unused = clicks->unused();
  constexpr std::size_t kMost = 5;
  for (std::size_t i = 0; i < std::min(unused.size(), kMost); ++i) {
    console.line("note: no photo is called \"" + unused[i] + "\", which --clicks names");
  }
  if (unused.size() > kMost) console.line("note: --clicks names " + std::to_string(unused.size() - kMost) + " more");
}

int run(const Options& options, Console& console) {
  const std::optional<ClicksFile> clicks = read_clicks(options.clicks_file);
  Jobs jobs = plan_jobs(options);
  catch_signals();
  Segmenter segmenter(options, jobs, console);
  const ModelInfo& model = segmenter.info();
  check_taps_are_given(options, model, console);
  assign_taps(jobs, options, clicks, console);

  const std::size_t total = jobs.list.size();
  if (jobs.batch) console.enable_progress(total);
  Trace trace;
  if (!jobs.trace.empty()) segmenter.trace_to(&trace);
  int status = 0;
  std::size_t done = 0, failed = 0;
  console.progress(0, jobs.list[0].input);
  run_pipeline(jobs.list, segmenter, segmenter.limits(), [&](const PhotoWork& work) {
    const PhotoResult& result = work.result;
    if (result.status == PhotoResult::Status::kFailed) {
      ++failed;
      status = jobs.batch ? 1 : result.exit_status;
    }
    report(result, options, model, console);
    if (++done < total) console.progress(done, jobs.list[done].input);
  });
  if (jobs.batch) {
    console.line(std::to_string(done - failed) + " of " + std::to_string(total) + " photos done" +
                 (failed > 0 ? ", " + std::to_string(failed) + " failed" : ""));
  }
  if (!jobs.trace.empty()) {
    const std::string text = trace.json();
    AtomicFile(jobs.trace, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}).commit();
  }
  if (const std::vector<ProfileEntry> entries = segmenter.profile(); options.profile && !entries.empty()) {
    const bool cpu = std::string(model.device) == "cpu";
    console.line(profile_table(entries, measure_peak(entries, cpu, model.threads)));
  }
  if (interrupting_signal() != 0) {
    console.error("interrupted; the outputs of " + std::to_string(done - failed) + " photos are complete" +
                  (jobs.batch ? "; the same command with --skip-existing does the rest" : ""));
    return kInterruptedStatus;
  }
  return status;
}

}  // namespace
}  // namespace mfs::tools

int main(int argc, char** argv) {
  using namespace mfs::tools;  // NOLINT: the program is this namespace's
  return run_program("mfs_infer", [&] {
    const std::optional<Options> options = parse_options(argc, argv);
    if (!options) return 0;
    Console console("mfs_infer", options->quiet, options->verbose);
    return run(*options, console);
  });
}
