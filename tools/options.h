// The command line of mfs_infer.
#pragma once

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "mfs/mfs.hpp"

namespace mfs::tools {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum OutputKind { kMask, kProbability, kCutOut, kBlur, kOverlay };
inline constexpr std::size_t kOutputKinds = 5;
using OutputPaths = std::array<std::string, kOutputKinds>;  // empty: not asked for

enum class IfExists { kStop, kSkip, kOverwrite };

struct Options {
  std::vector<std::string> inputs;
  std::vector<Point> taps;
  std::string clicks_file;
  OutputPaths outputs;  // as typed: files, or folders
  std::optional<float> blur_radius;
  float threshold = 0.5f;

  std::string weights, device = "auto", precision = "auto";
  SessionOptions session;
  int threads = 0;

  int repeat = 1;
  bool profile = false;
  std::string trace;

  bool json = false, quiet = false, verbose = false;
  IfExists if_exists = IfExists::kStop;
};

// Throws UsageError. Nothing when --help or --version was asked for and printed.
std::optional<Options> parse_options(int argc, char** argv);

// "512", "640x384" (width first) or "native". Throws UsageError.
SessionOptions parse_size(const std::string& text);

// The checkpoint that belongs to this program: installed beside it, or in the source tree it was built in. Throws Error
// (MFS_BAD_WEIGHTS) that names the places searched.
std::string find_weights();

}  // namespace mfs::tools
