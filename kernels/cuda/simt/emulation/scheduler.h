// What the emulated wrappers need from the scheduler and the race detector.
#pragma once

#include "kernels/cuda/simt/emulation/state.h"

namespace mfs::core::simt::emulation {

State& state();  // of the machine that runs on this host thread
State* state_or_null();
Thread& current();  // the running thread

// Ends the kernel: misuse that the hardware would answer with a trap, a hang or silent nonsense.
[[noreturn, gnu::format(printf, 2, 3)]] void fail(const Site& site, const char* format, ...);
// Notes a defect once and goes on.
[[gnu::format(printf, 2, 3)]] void report(const Site& site, const char* format, ...);

void suspend(const char* what, const Site& site, bool (*ready)(const void*), const void* argument);

// Lets other threads run until the predicate holds. It stays on the waiting thread's stack.
template <class Predicate>
void wait_until(const char* what, const Site& site, const Predicate& predicate) {
  if (predicate()) return;
  suspend(
      what, site, [](const void* p) { return (*static_cast<const Predicate*>(p))(); }, &predicate);
}

// In random order, sometimes lets others go first: called where the outcome may depend on who is faster.
void maybe_yield(const Site& site);

void check_aligned_call(const char* what, const Site& site);            // same call site in the whole warp
void check_warpgroup_aligned_call(const char* what, const Site& site);  // ... warpgroup
void check_address(const void* p, size_t alignment, const char* what, const Site& site);
void check_shared(const void* p, size_t bytes, const char* what, const Site& site);  // inside this block's shared memory
// That a kernel launched programmatically touches global memory only after griddepcontrol.wait, but for reads of constants.
void check_dependency(const void* p, size_t bytes, Touch kind, const Site& site);
Block* block_of(const void* p);  // whose shared memory it is in; null: global memory

void submit(AsyncOp op);
template <class Select>
void complete(const Select& select);  // those for which select(op) holds, in issue order

// Groups of asynchronous operations, as cp.async, TMA stores and wgmma have them.
uint64_t open_group(GroupKind kind);
void commit_group(GroupKind kind);
// Waits until at most `left` groups are under way; returns the number of the last complete group, 0 if there is none.
uint64_t groups_to_complete(GroupKind kind, unsigned left);

// ---- order of memory accesses; all of these do nothing unless races are looked for
void touch(const void* p, size_t bytes, Touch kind, const Site& site);  // by the current thread
void release(Knowledge& into);                                          // the current thread's knowledge
void acquire(const Knowledge& from);

AsyncAgent make_async_agent(Thread& issuer);
AsyncAgent renew(AsyncAgent agent);  // the same agent, with what its issuer knows by now
void touch(const AsyncAgent& agent, const void* p, size_t bytes, Touch kind, bool async_proxy, const Site& site);
void release(const AsyncAgent& agent, Knowledge& into, bool async_proxy);

template <class Select>
void complete(const Select& select) {
  std::list<AsyncOp>& pending = state().pending;
  for (auto op = pending.begin(); op != pending.end();) {
    if (!select(*op)) {
      ++op;
      continue;
    }
    const auto run = std::move(op->run);
    op = pending.erase(op);
    run();
  }
}

}  // namespace mfs::core::simt::emulation
