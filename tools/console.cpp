#include "tools/console.h"

#include <unistd.h>

#include <cstdio>

#include "tools/atomic_file.h"

namespace mfs::tools {

void Console::clear_progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void Console::print(const std::string& line) {
  clear_progress();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Console::error(const std::string& line) { print(std::string(program_) + ": " + line); }

void Console::line(const std::string& line) {
  if (!quiet_) print(line);
}

void Console::detail(const std::string& line) {
  if (verbose_) print(line);
}

void Console::data(const std::string& line, bool to_stderr) {
  if (to_stderr) return print(line);
  const std::string text = line + "\n";
  write_to_stdout({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void Console::enable_progress(std::size_t total) {
  if (!quiet_ && ::isatty(STDERR_FILENO) == 1) total_ = total;
}

void Console::progress(std::size_t done, const std::string& name) {
  if (total_ == 0) return;
  constexpr std::size_t kWidth = 30, kMostName = 40;
  const std::size_t full = done * kWidth / total_;
  const std::string shown = name.size() <= kMostName ? name : "..." + name.substr(name.size() - kMostName + 3);
  std::fprintf(stderr, "\r\033[K[%s%s] %zu/%zu %s", std::string(full, '#').c_str(), std::string(kWidth - full, '.').c_str(),
               done, total_, shown.c_str());
  drawn_ = true;
}

}  // namespace mfs::tools
