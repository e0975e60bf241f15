// What a processed photo is reported as: one line of JSON, or one of words.
#pragma once

#include <string>
#include <vector>

#include "mfs/mfs.hpp"

namespace mfs::tools {

// Milliseconds of one photo; medians when it was run several times.
struct StageTimes {
  double decode = 0, prepare = 0, infer = 0, finish = 0, encode = 0;
};

struct PhotoResult {
  enum class Status { kOk, kSkipped, kFailed };
  std::string input;
  Status status = Status::kOk;
  std::string error{};                 // kFailed: one sentence
  int exit_status = 1;                 // kFailed: what the program returns when this is its only photo
  int width = 0, height = 0;           // 0: not known
  int orientation = 1;                 // EXIF, applied
  std::vector<std::string> outputs{};  // files written, "-" for standard output
  std::vector<Point> taps{};
  long long mask_area = 0;  // pixels
  StageTimes ms{};
  std::vector<Timings> runs{};  // every timed run
};

struct Quantiles {
  double min = 0, median = 0, p90 = 0, p99 = 0;
};
// Nearest rank; the median of an even count is the mean of the middle two. `values` must not be empty.
Quantiles quantiles(std::vector<double> values);

std::string json_line(const PhotoResult& result, const ModelInfo& model);
std::string words(const PhotoResult& result, const ModelInfo& model);

}  // namespace mfs::tools
