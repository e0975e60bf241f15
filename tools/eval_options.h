// The command line of mfs_eval.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/command_line.h"
#include "tools/eval_clicks.h"
#include "tools/eval_dataset.h"

namespace mfs::tools {

struct EvalOptions {
  std::vector<DatasetFolder> datasets;
  std::size_t limit = 0;  // instances of each data set; 0: all
  ClickProtocol click;
  int taps = 1;

  std::vector<std::string> weights;
  NetworkOptions network;
  SessionOptions session;

  std::string csv, report, worst, export_clicks, resume;  // empty: not asked for
  bool json = false, quiet = false, verbose = false;
};

// Throws UsageError. Nothing when --help or --version was asked for and printed.
std::optional<EvalOptions> parse_eval_options(int argc, const char* const* argv);

// Throws UsageError when an output is an input or is named twice, FileError when it could not be written: known before hours
// of work, not after.
void check_eval_outputs(const EvalOptions& options);

}  // namespace mfs::tools
