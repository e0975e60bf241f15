#include "tools/interrupt.h"

#include <csignal>

namespace mfs::tools {
namespace {

// The only global of the tools: a signal handler can reach nothing else.
volatile std::sig_atomic_t received = 0;

void note_signal(int signal) {
  received = signal;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;  // no SA_RESTART: a read from a terminal or pipe ends
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

int interrupting_signal() { return received; }

}  // namespace mfs::tools
