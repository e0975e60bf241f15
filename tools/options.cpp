#include "tools/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>

#include "tools/clicks.h"

namespace mfs::tools {
namespace {

constexpr const char* kDescription =
    "One tap on a photo -> mask of the tapped object.\n\n"
    "  mfs_infer dog.jpg --click 214,180                        # writes dog.mask.png\n"
    "  mfs_infer photos/ --clicks clicks.json -o masks/ --json  # a folder, sub-folders mirrored\n"
    "  mfs_infer --list night.txt --clicks clicks.json -o masks/ --skip-existing  # goes on where it was stopped\n"
    "  cat dog.jpg | mfs_infer - --click 214,180 -o - > mask.png\n";

constexpr const char* kFooter =
    "Taps are pixels of the upright photo (EXIF orientation applied): x to the right, y down, (0,0) is the centre of the\n"
    "top-left pixel. In --clicks a photo is called by its path below the folder given, by its path as given or listed, or by\n"
    "its file name.\n\n"
    "Outputs: without any output option the mask goes to NAME.mask.png beside the photo. '-' is standard output. For a\n"
    "folder, a list or several photos, output options name folders, which get NAME.mask.png, NAME.prob.png, NAME.cutout.png,\n"
    "NAME.blur.jpg and NAME.overlay.jpg; files of such names in a folder of photos are not taken for photos. Photos of a\n"
    "folder or list keep their sub-folders there. Every file appears complete or not at all; a run that was killed leaves at\n"
    "most hidden .NAME.tmp files, which the next run uses up. An input is never overwritten.\n\n"
    "Lists: one path per line, relative to the working directory, or the output of find -print0.\n\n"
    "Photos: JPEG, PNG, BMP, TGA and PNM, at most 30000 pixels a side and 256 megapixels. One that cannot be read is\n"
    "reported, and the others are done. While the network runs with --threads threads, as many more read and write the photos\n"
    "before and after; a photo at a time is worked on with --repeat, --profile or --trace.\n\n"
    "Latencies: min, median, p90, p99, of the network alone (back to back) and of click to mask (prepare + infer + finish).\n\n"
    "Exit status: 0 all done; 1 some photos failed, or an output could not be written; 2 usage; 3 weights; 4 no such device,\n"
    "unsupported precision or out of memory; 130 interrupted (Ctrl-C or SIGTERM: finished outputs stay; a second one kills).";

std::string threshold_problem(const std::string& text) {
  float value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  return parsed.ec == std::errc() && parsed.ptr == end && value > 0 && value < 1 ? "" : "must lie between 0 and 1";
}

std::string radius_problem(const std::string& text) {
  float value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  return parsed.ec == std::errc() && parsed.ptr == end && value > 0 && std::isfinite(value) ? "" : "must be above 0";
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  Options o;
  std::vector<std::string> clicks;
  float blur_radius = 0;
  bool skip_existing = false, overwrite = false;

  CLI::App app(kDescription, "mfs_infer");
  app.footer(kFooter);
  app.set_version_flag("--version", [] { return std::string("mfs_infer ") + mfs_version() + "\n" + mfs_build_info(); });
  auto* photos = app.add_option("PHOTO", o.inputs, "Photos, folders of photos, or '-' for standard input")->type_name("");
  app.add_option("--list", o.list_file, "A file that lists photos, instead of PHOTO; '-' is standard input")
      ->type_name("FILE")
      ->excludes(photos);
  auto* click = app.add_option("--click", clicks, "A tap on the object; repeat for several")->type_name("X,Y");
  click->allow_extra_args(false);
  app.add_option("--clicks", o.clicks_file, "Taps of many photos: {\"dog.jpg\": [[214,180]], ...}")
      ->type_name("FILE.json")
      ->excludes(click);

  const char* const outputs = "Outputs";
  app.add_option("-o,--mask", o.outputs[kMask], "8-bit mask, 255 = object")->type_name("FILE.png")->group(outputs);
  app.add_option("--prob", o.outputs[kProbability], "Probability: 16-bit PNG, or float32 as .npy")
      ->type_name("FILE.png|.npy")
      ->group(outputs);
  app.add_option("--cutout", o.outputs[kCutOut], "The object with a transparent background")
      ->type_name("FILE.png")
      ->group(outputs);
  app.add_option("--blur", o.outputs[kBlur], "The photo with its background blurred")
      ->type_name("FILE.jpg|.png")
      ->group(outputs);
  auto* radius = app.add_option("--blur-radius", blur_radius, "Photo pixels [1.5% of the longer side]")
                     ->type_name("R")
                     ->group(outputs)
                     ->check(CLI::Validator(radius_problem, "", ""));
  app.add_option("--overlay", o.outputs[kOverlay], "The photo with object and taps drawn in")
      ->type_name("FILE.jpg|.png")
      ->group(outputs);
  app.add_option("--threshold", o.threshold, "Probability above which a pixel is object [0.5]")
      ->type_name("T")
      ->group(outputs)
      ->check(CLI::Validator(threshold_problem, "", ""));
  auto* skip = app.add_flag("--skip-existing", skip_existing, "Leave outputs that exist as they are, do the missing ones")
                   ->group(outputs);
  app.add_flag("--overwrite", overwrite, "Replace outputs that exist (default: stop before any work)")
      ->group(outputs)
      ->excludes(skip);

  app.add_option("--weights", o.weights, "Checkpoint [the one that came with the program]")
      ->type_name("FILE.safetensors")
      ->group("Network");
  add_network_options(app, o.network);

  const char* const measuring = "Measuring";
  auto* repeat = app.add_option("--repeat", o.repeat, "Run each photo N times after a warm-up and print latencies")
                     ->type_name("N")
                     ->group(measuring)
                     ->check(CLI::Range(1, 1'000'000).description(""));
  app.add_flag("--profile", o.profile, "Table per operation (10 runs unless --repeat says otherwise)")->group(measuring);
  app.add_option("--trace", o.trace, "Timeline for chrome://tracing or Perfetto")->type_name("FILE.json")->group(measuring);

  const char* const messages = "Messages";
  app.add_flag("--json", o.json, "One JSON line per photo on standard output (on standard error with '-o -')")->group(messages);
  auto* quiet = app.add_flag("-q,--quiet", o.quiet, "Only errors")->group(messages);
  app.add_flag("-v,--verbose", o.verbose, "What is done, chosen and found")->group(messages)->excludes(quiet);

  if (!parse_command_line(app, argc, argv)) return std::nullopt;
  if (o.inputs.empty() && o.list_file.empty()) {
    throw UsageError("no photo: name a file, a folder, '-' for standard input, or a list of photos with --list");
  }
  try {
    for (const std::string& text : clicks) o.taps.push_back(parse_click(text));
  } catch (const ClicksError& error) {
    throw UsageError(std::string("--click: ") + error.what());
  }
  o.session = session_options(o.network);
  if (*radius) o.blur_radius = blur_radius;
  if (o.profile && !*repeat) o.repeat = 10;
  o.if_exists = overwrite ? IfExists::kOverwrite : skip_existing ? IfExists::kSkip : IfExists::kStop;
  return o;
}

}  // namespace mfs::tools
