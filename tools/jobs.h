// Which photos to read and which files to write, decided and checked before any work.
#pragma once

#include <string>
#include <vector>

#include "tools/options.h"

namespace mfs::tools {

struct Job {
  std::string input;      // a path, or "-"
  std::string name{};     // how --clicks calls it: its path as listed, or relative to the folder given, or its file name
  OutputPaths outputs{};  // "-" is standard output
  const std::vector<Point>* taps = nullptr;
  std::string problem{};  // not empty: why this input cannot be processed at all
  bool finished = false;  // every output exists, and --skip-existing
};

struct Jobs {
  std::vector<Job> list;
  bool batch = false;  // a folder, a list or several photos: one failure does not stop the others
  std::string trace;   // empty: none
};

// The lines of a list of photos; empty ones and the carriage returns of other systems do not count. Names that hold a line
// break are listed with a zero byte after each name instead (find -print0).
std::vector<std::string> parse_list(std::string_view text);

// Throws UsageError: outputs of the wrong kind, that collide with each other, with an input or (unless allowed) with a file.
Jobs plan_jobs(const Options& options);

bool writes_to_stdout(const Options& options);

}  // namespace mfs::tools
