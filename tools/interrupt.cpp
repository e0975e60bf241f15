#include "tools/interrupt.h"

#include <csignal>

namespace mfs::tools {
namespace {

// The only global of the tools: a signal handler can reach nothing else.
volatile std::sig_atomic_t received = 0;

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { received = signal; };
  action.sa_flags = SA_RESETHAND;  // no SA_RESTART: a read from a terminal or pipe ends
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupting_signal() { return received; }

}  // namespace mfs::tools
