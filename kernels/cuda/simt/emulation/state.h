// The emulator's inside: kernels, clusters, blocks and threads, and the scheduler they call.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "kernels/cuda/simt/emulation/machine.h"
#include "kernels/cuda/simt/emulation/shadow.h"
#include "kernels/cuda/simt/emulation/thread.h"

namespace mfs::core::simt::emulation {

struct Cluster;
struct Grid;

struct Block {
  Cluster* cluster = nullptr;
  Grid* grid = nullptr;
  Dim3 index;
  unsigned rank = 0;  // in the cluster
  std::vector<Thread> threads;
  unsigned char* shared = nullptr;
  uint32_t shared_base = 0;  // its address in the 32-bit window
  unsigned exited = 0;
  bool dependents_launched = false;
  std::array<NamedBarrier, 16> barriers;
  std::vector<Warp> warps;
  std::vector<Warpgroup> warpgroups;
  std::map<const uint64_t*, MBarrier> mbarriers;
  long free_registers = 0;

  bool contains(const void* p) const;
  bool finished() const { return exited == threads.size(); }
  ~Block();
};

struct Cluster {
  Grid* grid = nullptr;
  std::vector<std::unique_ptr<Block>> blocks;
  ClusterBarrier barrier;
  uint32_t group = 0;                 // of its agents
  std::vector<uint32_t> slot_epochs;  // agents of asynchronous operations, after the threads
  unsigned first_async_slot = 0;
};

struct Grid {
  std::string name;
  LaunchShape shape;
  std::function<void()> body;
  uint32_t id = 0, known = 0;  // known: all kernels up to this one were complete at the start
  uint64_t clusters_started = 0, clusters_total = 0, blocks_done = 0, blocks_triggered = 0;
  bool finished() const { return blocks_done == shape.grid.count(); }
};

struct State {
  Options options;
  std::mt19937 random;
  StackArena stacks;
  FiberContext scheduler;
  std::deque<std::unique_ptr<Grid>> grids;
  std::vector<std::unique_ptr<Cluster>> resident;
  std::list<AsyncOp> pending;
  Thread* running = nullptr;
  bool on_fiber = false;   // else the scheduler itself runs
  bool reporting = false;  // the report's own strings may be the kernels' copies of the library, with hooks
  bool failed = false;
  std::vector<std::string> reports;
  std::set<std::string> reported;
  uint32_t next_grid = 1, next_group = 1;
  uint64_t next_async_group = 1, bank_conflicts = 0;
  Shadow shadow;
  std::map<const void*, Knowledge> atomics;  // what released atomics carry
};

}  // namespace mfs::core::simt::emulation
