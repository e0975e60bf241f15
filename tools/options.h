// The command line of mfs_infer.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tools/command_line.h"

namespace mfs::tools {

enum OutputKind { kMask, kProbability, kCutOut, kBlur, kOverlay };
inline constexpr std::size_t kOutputKinds = 5;
using OutputPaths = std::array<std::string, kOutputKinds>;  // empty: not asked for

enum class IfExists { kStop, kSkip, kOverwrite };

struct Options {
  std::vector<std::string> inputs;
  std::string list_file;
  std::vector<Point> taps;
  std::string clicks_file;
  OutputPaths outputs;  // as typed: files, or folders
  std::optional<float> blur_radius;
  float threshold = 0.5f;

  std::string weights;  // empty: find_weights()
  NetworkOptions network;
  SessionOptions session;

  int repeat = 1;
  bool profile = false;
  std::string trace;

  bool json = false, quiet = false, verbose = false;
  IfExists if_exists = IfExists::kStop;
};

// Throws UsageError. Nothing when --help or --version was asked for and printed.
std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace mfs::tools
