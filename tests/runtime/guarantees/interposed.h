// malloc and pthread_mutex_lock of the whole process, watched: who calls them is told from the call stack. "Ours" is what this
// program and the statically linked library call, through the C++ library or not.
#pragma once

namespace mfs::test {

struct Calls {
  long ours = 0, onednn = 0, openmp = 0, others = 0;  // allocations
  long locks = 0;                                     // of ours
};

// Counts the calls of all threads during its life.
class Watch {
 public:
  Watch();
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  Calls calls() const;
};

// During its life, allocation number `nth` of ours (from 0) fails, and with `all` every later one, too.
class FailingAllocation {
 public:
  FailingAllocation(long nth, bool all);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  bool happened() const;
};

long live_blocks();  // allocated and not freed, by anybody

}  // namespace mfs::test
