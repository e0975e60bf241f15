// The command line of mfs_eval.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/eval_clicks.h"
#include "tools/eval_dataset.h"

namespace mfs::tools {

struct EvalOptions {
  std::vector<DatasetFolder> datasets;
  std::size_t limit = 0;  // instances of each data set; 0: all
  ClickProtocol click;
  int taps = 1;

  std::vector<std::string> weights;
  std::string device = "auto", precision = "auto", size;
  SessionOptions session;
  int threads = 0;

  std::string csv, report, worst, export_clicks, resume;  // empty: not asked for
  bool json = false, quiet = false, verbose = false;
};

// Throws UsageError (options.h). Nothing when --help or --version was asked for and printed.
std::optional<EvalOptions> parse_eval_options(int argc, char** argv);

// Throws UsageError when an output is an input or is named twice, FileError when it could not be written: known before hours
// of work, not after.
void check_eval_outputs(const EvalOptions& options);

}  // namespace mfs::tools
