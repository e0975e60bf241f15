#include "tools/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/clicks.h"

namespace mfs::tools {
namespace {

using nlohmann::ordered_json;

double rounded(double ms) { return std::round(ms * 1000) / 1000; }

Quantiles back_to_back(const PhotoResult& r) {
  std::vector<double> ms;
  for (const Timings& t : r.runs) ms.push_back(t.infer);
  return quantiles(ms);
}

Quantiles click_to_mask(const PhotoResult& r) {
  std::vector<double> ms;
  for (const Timings& t : r.runs) ms.push_back(t.prepare + t.infer + t.finish);
  return quantiles(ms);
}

ordered_json to_json(const Quantiles& q) {
  return {{"min", rounded(q.min)}, {"median", rounded(q.median)}, {"p90", rounded(q.p90)}, {"p99", rounded(q.p99)}};
}

std::string words(const Quantiles& q) {
  char text[128];
  std::snprintf(text, sizeof text, "min %.2f  median %.2f  p90 %.2f  p99 %.2f ms", q.min, q.median, q.p90, q.p99);
  return text;
}

}  // namespace

Quantiles quantiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  const auto nearest_rank = [&](double p) {
    return values[std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(p * static_cast<double>(n)))) - 1];
  };
  return {values.front(), (values[(n - 1) / 2] + values[n / 2]) / 2, nearest_rank(0.90), nearest_rank(0.99)};
}

std::string json_line(const PhotoResult& r, const ModelInfo& model) {
  const bool ok = r.status == PhotoResult::Status::kOk;
  ordered_json line;
  line["input"] = r.input;
  line["outputs"] = r.outputs;
  line["width"] = r.width > 0 ? ordered_json(r.width) : ordered_json();
  line["height"] = r.height > 0 ? ordered_json(r.height) : ordered_json();
  line["clicks"] = ordered_json::array();
  for (const Point& tap : r.taps)
    line["clicks"].push_back(ordered_json::parse(std::string("[").append(to_string(tap)).append("]")));
  line["mask_area"] = ok ? ordered_json(r.mask_area) : ordered_json();
  line["device"] = model.device;
  line["precision"] = model.precision;
  line["ms"] = ordered_json();
  if (ok) {
    line["ms"] = {{"decode", rounded(r.ms.decode)},
                  {"prepare", rounded(r.ms.prepare)},
                  {"infer", rounded(r.ms.infer)},
                  {"finish", rounded(r.ms.finish)},
                  {"encode", rounded(r.ms.encode)}};
  }
  if (r.runs.size() > 1) {
    line["latency_ms"] = {
        {"runs", r.runs.size()}, {"back_to_back", to_json(back_to_back(r))}, {"click_to_mask", to_json(click_to_mask(r))}};
  }
  line["status"] = ok ? "ok" : r.status == PhotoResult::Status::kSkipped ? "skipped" : "failed";
  if (!r.error.empty()) line["error"] = r.error;
  // File names need not be UTF-8; JSON must be.
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string words(const PhotoResult& r, const ModelInfo& model) {
  if (r.status == PhotoResult::Status::kSkipped) return r.input + ": skipped, its outputs exist";
  std::string text =
      (r.input == "-" ? "standard input" : r.input) + ": " + std::to_string(r.width) + "x" + std::to_string(r.height);
  for (std::size_t i = 0; i < r.taps.size(); ++i) text += (i == 0 ? ", tap " : " ") + to_string(r.taps[i]);
  for (std::size_t i = 0; i < r.outputs.size(); ++i) {
    text += (i == 0 ? " -> " : ", ") + (r.outputs[i] == "-" ? "standard output" : r.outputs[i]);
  }
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, " (object %.1f%% of the photo; %.0f ms, %s, %s)",
                100.0 * static_cast<double>(r.mask_area) / (static_cast<double>(r.width) * r.height),
                r.ms.prepare + r.ms.infer + r.ms.finish, model.device, model.precision);
  text += numbers;
  if (r.runs.size() > 1) {
    text += "\n  " + std::to_string(r.runs.size()) + " runs, click to mask: " + words(click_to_mask(r)) + "\n  " +
            std::to_string(r.runs.size()) + " runs, back to back:  " + words(back_to_back(r));
  }
  return text;
}

}  // namespace mfs::tools
