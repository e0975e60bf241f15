// The whole network of "Multi-Stage Fusion for One-Click Segmentation", for every variant a weights file can describe.
#pragma once

#include "layers/graph.h"

namespace mfs::core {

// From normalised photos with their guidance maps, (batch, height, width, 3 or 4), to the logit maps at output stride 8.
// height and width: multiples of size_multiple(), at least 64. Throws Error(kBadWeights) when tensors are missing, misshapen or
// left over.
Graph build_network(const WeightsFile& weights, int height, int width, int batch = 1);

}  // namespace mfs::core
