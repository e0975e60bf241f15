#include "tools/profile.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

namespace mfs::tools {
namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double gigabytes_per_second(const ProfileEntry& e) { return static_cast<double>(e.bytes) / (e.microseconds * 1e3); }
double teraflops_per_second(const ProfileEntry& e) { return static_cast<double>(e.flops) / (e.microseconds * 1e6); }

double copy_bandwidth(int threads) {
  constexpr std::size_t kBytesOfAll = std::size_t{128} << 20;
  constexpr int kRepetitions = 5;
  const std::size_t bytes = kBytesOfAll / static_cast<std::size_t>(threads);
  std::vector<double> gigabytes;
  std::vector<std::vector<char>> from(threads), to(threads);
  for (int repetition = 0; repetition <= kRepetitions; ++repetition) {  // the first touches the memory
    const auto start = Clock::now();
    std::vector<std::jthread> team;
    for (int t = 0; t < threads; ++t) {
      team.emplace_back([&, t] {
        from[t].resize(bytes, 1);
        to[t].resize(bytes);
        std::memcpy(to[t].data(), from[t].data(), bytes);
      });
    }
    team.clear();
    const std::chrono::duration<double> seconds = Clock::now() - start;
    if (repetition > 0) gigabytes.push_back(2e-9 * static_cast<double>(bytes) * threads / seconds.count());
  }
  return *std::max_element(gigabytes.begin(), gigabytes.end());
}

// "conv 3x3 d2" of "conv 3x3 d2 256->256 @40x40 +relu": the words before those about one shape or one fusion.
std::string kind_of(const std::string& operation) {
  std::size_t end = 0;
  while (end < operation.size()) {
    const std::size_t next = std::min(operation.find(' ', end + 1), operation.size());
    const std::string word = operation.substr(end, next - end);
    if (word.find("->") != std::string::npos || word.starts_with(" @") || word.starts_with(" +")) break;
    end = next;
  }
  return operation.substr(0, end);
}

std::string row(const std::string& name, const char* operation, const char* algorithm, const ProfileEntry& sum,
                const Peak& peak) {
  const double at_peak = std::max(static_cast<double>(sum.bytes) / (peak.gigabytes * 1e3),
                                  peak.teraflops > 0 ? static_cast<double>(sum.flops) / (peak.teraflops * 1e6) : 0.0);
  char text[256];
  std::snprintf(text, sizeof text, "%-26s %-42s %-26s %10.1f %8.1f %8.3f %6.1f%%\n", name.c_str(), operation, algorithm,
                sum.microseconds, gigabytes_per_second(sum), teraflops_per_second(sum), 100 * at_peak / sum.microseconds);
  return text;
}

}  // namespace

Peak measure_peak(const std::vector<ProfileEntry>& entries, bool cpu, int threads) {
  Peak peak;
  for (const ProfileEntry& e : entries) {
    if (e.microseconds <= 0) continue;
    peak.teraflops = std::max(peak.teraflops, teraflops_per_second(e));
    if (!cpu) peak.gigabytes = std::max(peak.gigabytes, gigabytes_per_second(e));
  }
  if (cpu) peak.gigabytes = copy_bandwidth(std::max(threads, 1));
  char text[256];
  std::snprintf(text, sizeof text, "peak: %.1f GB/s (%s) and %.3f TFLOP/s (the best operation below)", peak.gigabytes,
                cpu ? "memory copy, all threads; cached data can be faster" : "the best operation below", peak.teraflops);
  peak.origin = text;
  return peak;
}

std::string profile_table(const std::vector<ProfileEntry>& entries, const Peak& peak) {
  struct Total {
    std::string kind;
    int count;
    ProfileEntry sum;
  };
  char header[256];
  std::snprintf(header, sizeof header, "%-26s %-42s %-26s %10s %8s %8s %7s\n", "name", "operation", "algorithm", "us", "GB/s",
                "TFLOP/s", "of peak");
  std::string text = peak.origin + "\n" + header;
  std::vector<Total> totals;
  ProfileEntry all{};
  const auto add = [](ProfileEntry& sum, const ProfileEntry& e) {
    sum.microseconds += e.microseconds;
    sum.bytes += e.bytes;
    sum.flops += e.flops;
  };
  for (const ProfileEntry& e : entries) {
    if (e.microseconds <= 0) continue;
    text += row(e.name, e.operation, e.algorithm, e, peak);
    const std::string kind = kind_of(e.operation);
    auto total = std::find_if(totals.begin(), totals.end(), [&](const Total& t) { return t.kind == kind; });
    if (total == totals.end()) total = totals.insert(totals.end(), {kind, 0, {}});
    ++total->count;
    add(total->sum, e);
    add(all, e);
  }
  std::stable_sort(totals.begin(), totals.end(),
                   [](const Total& a, const Total& b) { return a.sum.microseconds > b.sum.microseconds; });
  text += "\ntotals per kind\n";
  for (const Total& t : totals) {
    char share[32];
    std::snprintf(share, sizeof share, "%.1f%% of the time", 100 * t.sum.microseconds / all.microseconds);
    text += row(std::to_string(t.count) + " x", t.kind.c_str(), share, t.sum, peak);
  }
  if (!totals.empty()) text += row("everything", "", "", all, peak);
  return text;
}

void Trace::add_stage(const std::string& name, const std::string& photo, double start, double length) {
  const ordered_json arguments{{"photo", photo}};
  events_.push_back({name, "stage", arguments.dump(-1, ' ', false, ordered_json::error_handler_t::replace), start, length, 1});
}

void Trace::add_operations(const std::vector<ProfileEntry>& entries, double start) {
  for (const ProfileEntry& e : entries) {
    const ordered_json arguments{
        {"operation", e.operation}, {"algorithm", e.algorithm}, {"bytes", e.bytes}, {"flops", e.flops}};
    events_.push_back({e.name, "operation", arguments.dump(), start, e.microseconds, 2});
    start += e.microseconds;
  }
}

std::string Trace::json() const {
  ordered_json events = ordered_json::array();
  const char* const tracks[] = {"stages", "operations (medians)"};
  for (int track = 1; track <= 2; ++track) {
    events.push_back(
        {{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", tracks[track - 1]}}}});
  }
  for (const Event& e : events_) {
    events.push_back({{"name", e.name},
                      {"cat", e.category},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", e.track},
                      {"ts", e.start},
                      {"dur", e.length},
                      {"args", ordered_json::parse(e.arguments)}});
  }
  const ordered_json root{{"traceEvents", events}, {"displayTimeUnit", "ms"}};
  return root.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace mfs::tools
