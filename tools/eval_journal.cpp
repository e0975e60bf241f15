#include "tools/eval_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tools/atomic_file.h"

namespace mfs::tools {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& path, const char* action) {
  throw FileError(path + ": cannot be " + action + " (" + std::strerror(errno) + ")");
}

}  // namespace

Journal::Journal(const std::string& path) : path_(path) {
  std::string content;
  if (std::filesystem::exists(path)) {
    const std::vector<std::uint8_t> bytes = read_file(path);
    content.assign(bytes.begin(), bytes.end());
  }
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && !read_line(line)) ++unreadable_;
  }
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(path, "written");
  // After a line that was cut short, new lines start on a line of their own.
  if (!content.empty() && content.back() != '\n' && ::write(file_, "\n", 1) != 1) fail(path, "written");
}

Journal::~Journal() {
  if (file_ >= 0) ::close(file_);
}

bool Journal::read_line(const std::string& line) {
  try {
    const json entry = json::parse(line);
    InstanceResult r;
    r.width = entry.at("width").get<int>();
    r.height = entry.at("height").get<int>();
    r.object_pixels = entry.at("object_pixels").get<long long>();
    for (const json& tap : entry.at("taps")) r.taps.push_back({tap.at(0).get<float>(), tap.at(1).get<float>()});
    r.iou = entry.at("iou").get<std::vector<double>>();
    const bool plausible = std::all_of(r.iou.begin(), r.iou.end(), [](double v) { return v >= 0 && v <= 1; });
    if (!plausible || r.iou.empty() || r.taps.empty() || r.taps.size() > r.iou.size()) return false;
    const auto key = entry.at("key").get<std::uint64_t>();
    InstanceResult& known = entries_[key];
    if (known.iou.size() < r.iou.size()) known = std::move(r);
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

bool Journal::find(std::uint64_t key, std::size_t taps, InstanceResult& result) const {
  const auto entry = entries_.find(key);
  if (entry == entries_.end() || entry->second.iou.size() < taps) return false;
  const InstanceResult& known = entry->second;
  result.width = known.width;
  result.height = known.height;
  result.object_pixels = known.object_pixels;
  // The first taps do not depend on how many were asked for.
  result.taps.assign(known.taps.begin(), known.taps.begin() + std::min(taps, known.taps.size()));
  result.iou.assign(known.iou.begin(), known.iou.begin() + taps);
  return true;
}

void Journal::append(std::uint64_t key, const InstanceResult& r) {
  ordered_json entry{{"key", key},
                     {"dataset", r.dataset},
                     {"name", r.name},
                     {"width", r.width},
                     {"height", r.height},
                     {"object_pixels", r.object_pixels},
                     {"taps", json::array()},
                     {"iou", r.iou}};
  for (const Point& tap : r.taps) entry["taps"].push_back({static_cast<int>(tap.x), static_cast<int>(tap.y)});
  const std::string line = entry.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t written = ::write(file_, line.data() + at, line.size() - at);
    if (written < 0 && errno != EINTR) fail(path_, "written");
    if (written > 0) at += static_cast<std::size_t>(written);
  }
}

}  // namespace mfs::tools
