// The whole network of "Multi-Stage Fusion for One-Click Segmentation", for every variant a weights file can describe.
#pragma once

#include "layers/graph.h"

namespace mfs::core {

// From the normalised photo with its guidance map, (1, height, width, 3 or 4), to the logit map at output stride 8.
// height and width: multiples of size_multiple(), at least 64. Throws Error(kBadWeights) when tensors are missing, misshapen or
// left over.
Graph build_network(const WeightsFile& weights, int height, int width);

}  // namespace mfs::core
