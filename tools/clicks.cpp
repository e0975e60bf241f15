#include "tools/clicks.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace mfs::tools {
namespace {

using nlohmann::json;

Point to_point(const json& value, const std::string& name) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number() || !value[1].is_number()) {
    throw ClicksError("\"" + name + "\" must be a list of taps, each written [x, y]");
  }
  const Point tap{value[0].get<float>(), value[1].get<float>()};
  if (!std::isfinite(tap.x) || !std::isfinite(tap.y)) throw ClicksError("\"" + name + "\" has a tap too large for a number");
  return tap;
}

}  // namespace

Point parse_click(std::string_view text) {
  Point tap{};
  const char* const end = text.data() + text.size();
  const auto x = std::from_chars(text.data(), end, tap.x);
  const bool comma = x.ec == std::errc() && x.ptr != end && *x.ptr == ',';
  const auto y = comma ? std::from_chars(x.ptr + 1, end, tap.y) : x;
  if (!comma || y.ec != std::errc() || y.ptr != end || !std::isfinite(tap.x) || !std::isfinite(tap.y)) {
    throw ClicksError("'" + std::string(text) + "' is not a tap; write X,Y in photo pixels, for example 214,180");
  }
  return tap;
}

ClicksFile::ClicksFile(std::string_view text) {
  std::string repeated;
  std::set<std::string> names;
  const auto note_names = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 && !names.insert(parsed.get<std::string>()).second) {
      repeated = parsed.get<std::string>();
    }
    return true;
  };
  json root;
  try {
    root = json::parse(text, note_names);
  } catch (const json::exception& error) {
    throw ClicksError(std::string("is not JSON (") + error.what() + ")");
  }
  if (!root.is_object()) throw ClicksError("must hold one JSON object, for example {\"dog.jpg\": [[214, 180]]}");
  if (!repeated.empty()) throw ClicksError("names \"" + repeated + "\" twice");
  for (const auto& [name, list] : root.items()) {
    if (!list.is_array()) throw ClicksError("\"" + name + "\" must be a list of taps, each written [x, y]");
    std::vector<Point>& taps = taps_[name];
    for (const json& tap : list) taps.push_back(to_point(tap, name));
  }
}

const std::vector<Point>* ClicksFile::find(const std::string& name, const std::string& path) const {
  for (const std::string& key : {name, path, std::filesystem::path(path).filename().string()}) {
    if (const auto entry = taps_.find(key); entry != taps_.end()) {
      used_.insert(key);
      return &entry->second;
    }
  }
  return nullptr;
}

std::vector<std::string> ClicksFile::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, taps] : taps_) {
    if (!used_.contains(name)) names.push_back(name);
  }
  return names;
}

bool is_inside(Point tap, int width, int height) {
  return tap.x >= -0.5f && tap.y >= -0.5f && static_cast<double>(tap.x) <= width - 0.5 &&
         static_cast<double>(tap.y) <= height - 0.5;
}

std::string to_string(Point tap) {
  char text[64];
  const auto x = std::to_chars(text, text + 31, tap.x);  // the shortest text that reads back as the same number
  *x.ptr = ',';
  const auto y = std::to_chars(x.ptr + 1, text + 63, tap.y);
  return {text, y.ptr};
}

}  // namespace mfs::tools
