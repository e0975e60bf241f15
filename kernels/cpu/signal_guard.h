// Keeps signal handlers off this thread's stack for a while.
#pragma once

#include <csignal>

namespace mfs::core {

// oneDNN's generated matrix products (2.6.3, AVX2) use the stack below its pointer, far beyond what the ABI lets them: the
// frame of a signal handler that runs on this stack overwrites their data. Signals that come meanwhile are handled by another
// thread or afterwards; what the thread itself causes, as a fault does, is not blocked.
class SignalGuard {
 public:
  SignalGuard() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT}) sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalGuard() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  sigset_t before_;
};

}  // namespace mfs::core
