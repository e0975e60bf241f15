// What the Hopper family's kernels are told about the end of the pyramid head (kernels/conv_head.h).
#pragma once

#include "kernels/cuda/element.h"
#include "kernels/pyramid_pool.h"
#include "kernels/resize_bilinear.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

struct HopperHeadParams {
  struct Prior {
    const float* values;  // images x bins x bins x columns
    int image;            // floats of one
  } priors[kMaxPyramidLevels];
  int levels;
  // [y x levels + level], [node x levels + level]: where a row and a node lie in a prior, in floats from its first.
  const Lerp *rows, *nodes;
  const Lerp* columns;  // [x]: between which nodes a pixel lies
  int node_count;
  int table_rows, row_nodes;  // of a tile's table
  const float* weights;       // for whole tiles
  float bias;
  float* logit;  // images x out_h x out_w x parts
  int parts;
};

MFS_DEVICE Lerp load_lerp(const Lerp* p) {
  return {simt::load_constant(&p->lo), simt::load_constant(&p->hi), simt::load_constant(&p->t)};
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
