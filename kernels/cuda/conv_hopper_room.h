// How many clusters of the Hopper family's blocks a GPU has room for. A block has an SM for itself, and a cluster lies in one
// GPC, whose SMs may be no multiple of its blocks: an H100 with 132 SMs need not hold 32 clusters of four, and the last one of
// a grid that does not fit costs as much as all before it.
#pragma once

#include "kernels/backend.h"

namespace mfs::core {

// Clusters of one, two and four blocks that run at once; may be none.
struct HopperRoom {
  int ones, pairs, fours;

  int clusters(int blocks) const { return blocks == 1 ? ones : blocks == 2 ? pairs : fours; }
};

// As if GPCs divided evenly.
constexpr HopperRoom undivided_room(int multiprocessors) { return {multiprocessors, multiprocessors / 2, multiprocessors / 4}; }

// As the device says, for no more than so many SMs; undivided where it says nothing.
HopperRoom hopper_room(const Cuda& cuda);

}  // namespace mfs::core
