// The table on the terminal, in the form of the paper's Tables 1 to 3.
#include <algorithm>
#include <cstdio>
#include <map>

#include "tools/eval_published.h"
#include "tools/eval_report.h"

namespace mfs::tools {
namespace {

// Lower-case letters and digits; other ways to write a name are led back to the paper's.
std::string comparable(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out == "voc2012" || out == "pascalvoc2012" || out == "pascalvoc12" ? "voc12" : out;
}

// Index into kPublishedDatasets, or -1.
int published_column(const std::string& dataset) {
  const auto* const found = std::find_if(kPublishedDatasets.begin(), kPublishedDatasets.end(), [&](std::string_view published) {
    return comparable(published) == comparable(dataset);
  });
  return found == kPublishedDatasets.end() ? -1 : static_cast<int>(found - kPublishedDatasets.begin());
}

struct Row {
  std::string label;
  std::vector<std::string> cells;
};

std::string percent(double value) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::vector<Row> published_rows(const std::vector<std::string>& datasets) {
  std::vector<Row> rows;
  for (const PublishedRow& published : kPublished) {
    Row row{"paper, Table " + std::to_string(published.table) + ": " + std::string(published.method), {}};
    bool any = false;
    for (const std::string& dataset : datasets) {
      const int column = published_column(dataset);
      const double value = column < 0 ? 0 : published.percent[column];
      row.cells.push_back(value > 0 ? percent(value) : "-");
      any = any || value > 0;
    }
    if (any) rows.push_back(row);
  }
  return rows;
}

std::string cell(const Summary& s) {
  if (!s.mean_iou) return "-";
  return percent(100 * *s.mean_iou) + " (" + percent(100 * s.ci95.low) + "-" + percent(100 * s.ci95.high) + ")";
}

std::string format(const Row& row, const std::vector<std::size_t>& widths) {
  std::string line = row.label + std::string(widths[0] - row.label.size(), ' ');
  for (std::size_t c = 0; c < row.cells.size(); ++c) {
    line += std::string(widths[c + 1] - row.cells[c].size() + 2, ' ') + row.cells[c];
  }
  return line + "\n";
}

}  // namespace

std::string table(const std::vector<Summary>& summaries, const ClickProtocol& click) {
  std::vector<std::string> datasets;
  for (const Summary& s : summaries) {
    if (std::find(datasets.begin(), datasets.end(), s.dataset) == datasets.end()) datasets.push_back(s.dataset);
  }
  const auto column_of = [&](const std::string& dataset) {
    return static_cast<std::size_t>(std::find(datasets.begin(), datasets.end(), dataset) - datasets.begin());
  };
  Row header{"mean IoU in %, tap: " + click.text + " (95% interval)", datasets}, counts{"instances", {}}, failed{"failed", {}};
  counts.cells.resize(datasets.size());
  failed.cells.resize(datasets.size());
  std::size_t failures = 0;
  std::vector<Row> ours;
  std::map<std::pair<std::string, int>, std::size_t> row_of;
  for (const Summary& s : summaries) {
    const auto [at, is_new] = row_of.insert({{s.weights, s.taps}, ours.size()});
    if (is_new) {
      const std::string taps = s.taps == 1 ? ", 1 tap" : ", up to " + std::to_string(s.taps) + " taps";
      ours.push_back({s.weights + taps, std::vector<std::string>(datasets.size(), "-")});
    }
    const std::size_t column = column_of(s.dataset);
    ours[at->second].cells[column] = cell(s);
    counts.cells[column] = std::to_string(s.instances);
    failed.cells[column] = std::to_string(s.failed);
    failures += s.failed;
  }
  std::vector<Row> rows{header, counts};
  if (failures > 0) rows.push_back(failed);
  for (const Row& row : published_rows(datasets)) rows.push_back(row);
  rows.insert(rows.end(), ours.begin(), ours.end());

  std::vector<std::size_t> widths(datasets.size() + 1);
  for (const Row& row : rows) {
    widths[0] = std::max(widths[0], row.label.size());
    for (std::size_t c = 0; c < row.cells.size(); ++c) widths[c + 1] = std::max(widths[c + 1], row.cells[c].size());
  }
  std::string text;
  for (const Row& row : rows) text += format(row, widths);
  return text;
}

}  // namespace mfs::tools
