#include "kernels/cuda/simt/emulation/failures.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace mfs::core::simt::emulation {
namespace {

std::string place(const Site& site) {
  if (site.line() == 0) return "before its first wait";
  std::string file = site.file_name();
  return file.substr(file.find_last_of('/') + 1) + ":" + std::to_string(site.line());
}

std::string describe(const State& s, const Site& site, const char* text) {
  if (!s.running) return text;
  const Block& b = *s.running->block;
  char where[256];
  std::snprintf(where, sizeof where, "%s, block %u,%u,%u thread %u: ", b.grid->name.c_str(), b.index.x, b.index.y, b.index.z,
                s.running->number);
  return where + std::string(text) + " (" + place(site) + ")";
}

void note(State& s, const Site& site, const char* text) {
  const std::string key = std::string(text).substr(0, 24) + place(site);  // one report per place and kind
  if (s.reports.size() < 20 && s.reported.insert(key).second) s.reports.push_back(describe(s, site, text));
}

}  // namespace

void report_deadlock(State& s) {
  std::map<std::string, std::pair<unsigned, const Thread*>> waiting;
  for (const auto& c : s.resident) {
    for (const auto& b : c->blocks) {
      for (const Thread& t : b->threads) {
        if (t.done) continue;
        auto& entry_ = waiting[std::string(t.waits_for) + " at " + place(t.site)];
        if (entry_.first++ == 0) entry_.second = &t;
      }
    }
  }
  std::string text = "deadlock:";
  for (const auto& [what, who] : waiting) {
    const Block& b = *who.second->block;
    text += " [" + b.grid->name + ": " + std::to_string(who.first) + " threads wait for " + what + ", first block " +
            std::to_string(b.index.x) + "," + std::to_string(b.index.y) + "," + std::to_string(b.index.z) + " thread " +
            std::to_string(who.second->number) + "]";
  }
  s.reports.push_back(text);
  s.failed = true;
}

void report(const Site& site, const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  State& s = state();
  s.reporting = true;
  note(s, site, text);
  s.reporting = false;
}

void fail(const Site& site, const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  State& s = state();
  s.reporting = true;
  s.reports.push_back(describe(s, site, text));
  s.reporting = false;
  s.failed = true;
  if (!s.on_fiber) throw Abandon{};
  switch_to(s.running->context, s.scheduler, true);
  std::abort();  // never resumed
}

}  // namespace mfs::core::simt::emulation
