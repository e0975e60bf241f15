#include "tools/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "tools/clicks.h"

namespace mfs::tools {
namespace {

constexpr const char* kDescription =
    "One tap on a photo -> mask of the tapped object.\n\n"
    "  mfs_infer dog.jpg --click 214,180                        # writes dog.mask.png\n"
    "  mfs_infer photos/ --clicks clicks.json -o masks/ --json  # a folder, sub-folders mirrored\n"
    "  cat dog.jpg | mfs_infer - --click 214,180 -o - > mask.png\n";

constexpr const char* kFooter =
    "Taps are pixels of the upright photo (EXIF orientation applied): x to the right, y down, (0,0) is the centre of the\n"
    "top-left pixel.\n\n"
    "Outputs: without any output option the mask goes to NAME.mask.png beside the photo. '-' is standard output. For a folder\n"
    "or several photos, output options name folders, which get NAME.mask.png, NAME.prob.png, NAME.cutout.png, NAME.blur.jpg\n"
    "and NAME.overlay.jpg; files of such names in a folder of photos are not taken for photos. Every file appears complete\n"
    "or not at all. An input is never overwritten.\n\n"
    "Photos: JPEG, PNG, BMP, TGA and PNM, at most 30000 pixels a side and 256 megapixels.\n\n"
    "Latencies: min, median, p90, p99, of the network alone (back to back) and of click to mask (prepare + infer + finish).\n\n"
    "Exit status: 0 all done; 1 some images failed; 2 usage; 3 weights; 4 no such device, unsupported precision or out of\n"
    "memory; 130 interrupted.";

std::string device_problem(const std::string& text) {
  const bool indexed = text.rfind("cuda:", 0) == 0 && text.size() > 5 && text.size() <= 8 &&
                       text.find_first_not_of("0123456789", 5) == std::string::npos;
  return text == "auto" || text == "cpu" || text == "cuda" || indexed ? "" : "'" + text + "' is not auto, cpu, cuda or cuda:N";
}

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

SessionOptions parse_size(const std::string& text) {
  SessionOptions size;
  if (text == "native") {
    size.native_size = true;
    return size;
  }
  const char* const end = text.data() + text.size();
  const auto width = std::from_chars(text.data(), end, size.network_width);
  bool valid = width.ec == std::errc() && size.network_width > 0;
  size.network_height = size.network_width;
  if (valid && width.ptr != end) {
    const auto height = *width.ptr == 'x' ? std::from_chars(width.ptr + 1, end, size.network_height) : width;
    valid = *width.ptr == 'x' && height.ec == std::errc() && height.ptr == end && size.network_height > 0;
  }
  if (!valid) throw UsageError("--size: '" + text + "' is not N, WxH (width first) or native");
  return size;
}

std::optional<Options> parse_options(int argc, char** argv) {
  Options o;
  std::vector<std::string> clicks;
  std::string size;
  float blur_radius = 0;
  bool skip_existing = false, overwrite = false;

  CLI::App app(kDescription, "mfs_infer");
  app.footer(kFooter);
  app.set_version_flag("--version", [] { return std::string("mfs_infer ") + mfs_version() + "\n" + mfs_build_info(); });
  app.add_option("PHOTO", o.inputs, "Photos, folders of photos, or '-' for standard input")->required()->type_name("");
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
  auto* skip = app.add_flag("--skip-existing", skip_existing, "Leave outputs that exist as they are")->group(outputs);
  app.add_flag("--overwrite", overwrite, "Replace outputs that exist (default: stop before any work)")
      ->group(outputs)
      ->excludes(skip);

  const char* const network = "Network";
  app.add_option("--weights", o.weights, "Checkpoint [the one that came with the program]")
      ->type_name("FILE.safetensors")
      ->group(network);
  app.add_option("--size", size, "Network size: multiples of 8 (VGG: 32) from 64 on; native = the photo's [as trained]")
      ->type_name("N|WxH|native")
      ->group(network);
  app.add_option("--device", o.device, "auto, cpu, cuda or cuda:N [auto]")
      ->type_name("DEVICE")
      ->group(network)
      ->check(CLI::Validator(device_problem, "", ""));
  app.add_option("--precision", o.precision, "auto, f32 (CPU), bf16 or f16 (GPU) [auto]")
      ->type_name("TYPE")
      ->group(network)
      ->check(CLI::IsMember({"auto", "f32", "bf16", "f16", "int8", "fp8"}).description(""));
  app.add_option("--threads", o.threads, "Host threads [all]")
      ->type_name("N")
      ->group(network)
      ->check(CLI::Range(1, 1024).description(""));

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

  try {
    app.parse(argc, argv);
    for (const std::string& text : clicks) o.taps.push_back(parse_click(text));
  } catch (const CLI::Success& help) {
    app.exit(help, std::cout, std::cerr);
    return std::nullopt;
  } catch (const CLI::Error& error) {
    throw UsageError(error.what());
  } catch (const ClicksError& error) {
    throw UsageError(std::string("--click: ") + error.what());
  }
  if (!size.empty()) o.session = parse_size(size);
  if (*radius) o.blur_radius = blur_radius;
  if (o.profile && !*repeat) o.repeat = 10;
  o.if_exists = overwrite ? IfExists::kOverwrite : skip_existing ? IfExists::kSkip : IfExists::kStop;
  return o;
}

std::string find_weights() {
  namespace fs = std::filesystem;
  constexpr const char* kName = "mfs-small.safetensors";
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::string searched;
  for (const char* place : {"../share/mfs", "../../weights"}) {
    const fs::path candidate = (folder / place / kName).lexically_normal();
    if (fs::exists(candidate, error)) return candidate.string();
    searched += (searched.empty() ? "" : " and ") + candidate.string();
  }
  throw Error(MFS_BAD_WEIGHTS, "no weights found (looked for " + searched + "); name a file with --weights");
}

}  // namespace mfs::tools
