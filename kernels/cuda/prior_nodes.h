// Where the sum of several upsampled priors has corners along an axis.
#pragma once

#include <span>
#include <vector>

#include "kernels/resize_bilinear.h"

namespace mfs::core {

// Along a row of pixels an upsampled prior is linear between the places of its own values, and flat before the first and after
// the last. So between two neighbouring places of any prior all of them are linear, and so is their sum: it is known
// everywhere once it is known there, at the nodes.
struct PriorNodes {
  int count = 0;
  std::vector<Lerp> pixels;  // of a pixel: the nodes on either side of it
  std::vector<Lerp> places;  // [node x priors + prior]: where a node lies in a prior
};
PriorNodes prior_nodes(int pixels, std::span<const int> bins, bool align_corners);

// How many nodes `run` neighbouring pixels need at most, if the first is a multiple of run.
int most_nodes(const PriorNodes& nodes, int run);

}  // namespace mfs::core
