// What an evaluation is reported as: a table, JSON lines, a CSV file, a JSON file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/eval_journal.h"
#include "tools/eval_options.h"
#include "tools/eval_statistics.h"

namespace mfs::tools {

// One data set, weights file and number of taps.
struct Summary {
  std::string dataset, weights;
  int taps = 1;
  std::size_t images = 0, instances = 0, failed = 0;  // images: different photos among the instances
  std::optional<double> mean_iou;                     // nothing when no instance was evaluated
  Interval ci95;
};

// In the order of the results' first appearance of (weights, data set); taps from 1 up.
std::vector<Summary> summarise(const std::vector<InstanceResult>& results, int taps);

std::string json_line(const Summary& summary, const ClickProtocol& click);
// A column per data set, the paper's rows where names match, then a row per weights file and number of taps.
std::string table(const std::vector<Summary>& summaries, const ClickProtocol& click);

std::string csv(const std::vector<InstanceResult>& results, int taps);
std::string report_json(const std::vector<InstanceResult>& results, const std::vector<Summary>& summaries,
                        const EvalOptions& options, const std::string& device, const std::string& precision);
// First taps of the first weights file: by file name for one data set, else by path.
std::string clicks_json(const std::vector<InstanceResult>& results, bool by_path);

}  // namespace mfs::tools
