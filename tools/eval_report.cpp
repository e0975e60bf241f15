#include "tools/eval_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace mfs::tools {
namespace {

using nlohmann::ordered_json;

double rounded(double iou) { return std::round(iou * 1e6) / 1e6; }

// File names need not be UTF-8; JSON must be.
std::string dump(const ordered_json& value, int indent = -1) {
  return value.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json to_json(const Summary& s, const std::string& click) {
  ordered_json line{{"dataset", s.dataset}, {"weights", s.weights}, {"click", click},
                    {"taps", s.taps},       {"images", s.images},   {"instances", s.instances}};
  line["mean_iou"] = s.mean_iou ? ordered_json(rounded(*s.mean_iou)) : ordered_json();
  line["ci95"] = s.mean_iou ? ordered_json{rounded(s.ci95.low), rounded(s.ci95.high)} : ordered_json();
  return line;
}

ordered_json to_json(const std::vector<Point>& taps) {
  ordered_json list = ordered_json::array();
  for (const Point& tap : taps) list.push_back({static_cast<int>(tap.x), static_cast<int>(tap.y)});
  return list;
}

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string out = "\"";
  for (const char c : field) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", value);
  return text;
}

}  // namespace

std::vector<Summary> summarise(const std::vector<InstanceResult>& results, int taps) {
  std::vector<Summary> summaries;
  for (auto first = results.begin(); first != results.end();) {
    const auto end = std::find_if(first, results.end(), [&](const InstanceResult& r) {
      return r.dataset != first->dataset || r.weights != first->weights;
    });
    for (int k = 1; k <= taps; ++k) {
      Summary s{.dataset = first->dataset, .weights = first->weights, .taps = k, .mean_iou = {}, .ci95 = {}};
      std::vector<double> iou;
      std::set<std::uint64_t> photos;
      for (auto r = first; r != end; ++r) {
        if (!r->error.empty()) continue;
        iou.push_back(r->iou[k - 1]);
        photos.insert(r->photo_hash);
      }
      s.images = photos.size();
      s.instances = iou.size();
      s.failed = static_cast<std::size_t>(end - first) - iou.size();
      if (!iou.empty()) {
        s.mean_iou = mean(iou);
        s.ci95 = bootstrap_interval(iou);
      }
      summaries.push_back(s);
    }
    first = end;
  }
  return summaries;
}

std::string json_line(const Summary& summary, const ClickProtocol& click) { return dump(to_json(summary, click.text)); }

std::string csv(const std::vector<InstanceResult>& results, int taps) {
  std::ostringstream out;
  out << "dataset,weights,name,width,height,object_pixels,taps";
  for (int k = 1; k <= taps; ++k) out << ",iou_" << k;
  out << ",error\n";
  for (const InstanceResult& r : results) {
    out << quoted(r.dataset) << ',' << quoted(r.weights) << ',' << quoted(r.name) << ',';
    if (!r.error.empty()) {
      out << std::string(4 + taps, ',') << quoted(r.error) << '\n';
      continue;
    }
    out << r.width << ',' << r.height << ',' << r.object_pixels << ',';
    for (std::size_t i = 0; i < r.taps.size(); ++i) {
      out << (i == 0 ? "" : ";") << static_cast<int>(r.taps[i].x) << ' ' << static_cast<int>(r.taps[i].y);
    }
    for (const double iou : r.iou) out << ',' << decimal(iou);
    out << ",\n";
  }
  return out.str();
}

std::string report_json(const std::vector<InstanceResult>& results, const std::vector<Summary>& summaries, const EvalOptions& o,
                        const std::string& device, const std::string& precision) {
  ordered_json report{{"version", mfs_version()},
                      {"click", o.click.text},
                      {"taps", o.taps},
                      {"size", o.network.size.empty() ? "as trained" : o.network.size},
                      {"zoom_in", o.network.zoom_in},
                      {"refine", o.network.refine},
                      {"device", device},
                      {"precision", precision},
                      {"results", ordered_json::array()},
                      {"instances", ordered_json::array()}};
  for (const Summary& s : summaries) {
    report["results"].push_back(to_json(s, o.click.text));
    report["results"].back()["failed"] = s.failed;
  }
  for (const InstanceResult& r : results) {
    ordered_json entry{{"dataset", r.dataset}, {"weights", r.weights}, {"name", r.name}};
    if (r.error.empty()) {
      entry.update({{"width", r.width}, {"height", r.height}, {"object_pixels", r.object_pixels}});
      entry["taps"] = to_json(r.taps);
      entry["iou"] = ordered_json::array();
      for (const double iou : r.iou) entry["iou"].push_back(rounded(iou));
    } else {
      entry["error"] = r.error;
    }
    report["instances"].push_back(entry);
  }
  return dump(report, 1) + "\n";
}

std::string clicks_json(const std::vector<InstanceResult>& results, bool by_path) {
  std::ostringstream out;
  const char* separator = "{\n";
  for (const InstanceResult& r : results) {
    if (!r.error.empty() || r.weights != results[0].weights) continue;
    const std::string name = by_path ? r.photo : std::filesystem::path(r.photo).filename().string();
    out << separator << dump(name) << ": " << dump(to_json({r.taps[0]}));
    separator = ",\n";
  }
  out << (out.tellp() == 0 ? "{}\n" : "\n}\n");
  return out.str();
}

}  // namespace mfs::tools
