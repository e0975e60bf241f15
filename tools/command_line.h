// What the programs' command lines share: the options of the network, and how a mistake is told.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "mfs/mfs.hpp"

namespace CLI {
class App;
}

namespace mfs::tools {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Runs a program and returns its exit status. What `body` throws is told on standard error in one sentence.
int run_program(const char* name, const std::function<int()>& body);

// What the program returns for a failure with this status.
int exit_status(mfs_status status);
inline constexpr int kInterruptedStatus = 130;

struct NetworkOptions {
  std::string device = "auto", precision = "auto";
  std::string size;  // as typed; empty: as trained
  int threads = 0;   // 0: all
  bool zoom_in = false;
  bool refine = false;
};

// Adds --size, --zoom-in, --refine, --device, --precision and --threads. `options` must outlive the parsing.
void add_network_options(CLI::App& app, NetworkOptions& options);

// False when --help or --version was asked for and printed. Throws UsageError with one sentence: an unknown option, one given
// twice, a value that is missing or cannot be.
bool parse_command_line(CLI::App& app, int argc, const char* const* argv);

// Of --size ("512", "640x384" with the width first, "native", or empty: as trained), --zoom-in and --refine. Throws UsageError.
SessionOptions session_options(const NetworkOptions& options);

}  // namespace mfs::tools
