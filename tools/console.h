// Who reads what: data on standard output, words on standard error, a progress bar only where a person watches.
#pragma once

#include <cstddef>
#include <string>

namespace mfs::tools {

class Console {
 public:
  Console(const char* program, bool quiet, bool verbose) : program_(program), quiet_(quiet), verbose_(verbose) {}
  ~Console() { clear_progress(); }

  void error(const std::string& line);   // always, as "PROGRAM: ..."
  void line(const std::string& line);    // unless quiet
  void detail(const std::string& line);  // when verbose
  // A line for programs. Throws FileError when it cannot be written.
  void data(const std::string& line, bool to_stderr);

  void enable_progress(std::size_t total);  // has no effect when quiet or when standard error is not a terminal
  bool shows_progress() const { return total_ > 0; }
  void progress(std::size_t done, const std::string& name);

 private:
  void clear_progress();
  void print(const std::string& line);

  const char* const program_;
  bool quiet_, verbose_, drawn_ = false;
  std::size_t total_ = 0;
};

}  // namespace mfs::tools
