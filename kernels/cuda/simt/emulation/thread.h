// State of one emulated CUDA thread.
#pragma once

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/cuda/simt/emulation/collective.h"
#include "kernels/cuda/simt/emulation/fiber.h"
#include "kernels/cuda/simt/launch_shape.h"

namespace mfs::core::simt::emulation {

struct Block;

struct CopyInFlight {
  uint64_t group = 0;
  size_t bytes = 0;
  AsyncAgent agent;
};

struct Thread {
  Block* block = nullptr;
  Dim3 index;
  unsigned number = 0;  // within the block
  FiberContext context;
  void* stack = nullptr;
  bool done = false;
  bool (*ready)(const void*) = nullptr;  // null: runnable
  const void* ready_argument = nullptr;
  const char* waits_for = "";
  Site site;
  Agent agent;
  uint32_t epoch = 1;
  Knowledge knowledge;
  Knowledge fence_release, fence_acquire;                       // what __threadfence() publishes, and what it will take over
  std::array<std::vector<uint64_t>, kGroupKinds> groups;        // committed groups not yet waited for, per kind of operation
  std::array<uint64_t, kGroupKinds> open_group{};               // the group that the next commit closes; 0: none yet
  std::vector<std::pair<uint64_t, AsyncAgent>> stores;          // TMA stores by group
  std::vector<std::pair<unsigned char*, CopyInFlight>> copies;  // only while races are looked for
  std::vector<uint64_t> wgmma_groups;                           // committed: the number of wgmmas until then
  bool wgmma_fenced = false;
  bool grid_dependency_waited = false;
  bool cluster_phase_pending = false;  // arrived at the cluster barrier and not yet waited
  bool reached_out = false;            // into another block's shared memory, and what it stored there is not published
  uint64_t cluster_generation = 0;
  std::vector<uint64_t*> unfenced_barriers;  // mbarriers initialised without a fence since
};

// An operation that takes effect some time between its issue and the wait for it.
struct AsyncOp {
  Thread* issuer = nullptr;
  GroupKind kind{};
  uint64_t group = 0;
  const void* chain = nullptr;  // operations with the same chain run in issue order
  Block* block = nullptr;       // must not exit before
  const char* what = "";
  std::function<void()> run;
};

}  // namespace mfs::core::simt::emulation
