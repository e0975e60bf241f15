// The Hopper family's tables of priors: for the end of the pyramid head, what all upsampled priors add up to at the nodes of a
// tile's rows (prior_nodes.h), for the channels that a block finishes. Made before the tile is multiplied, while its first
// stages are on their way.
#pragma once

#include "kernels/cuda/conv_hopper_finish.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile>
struct HopperPriors : HopperFinish<T, Tile> {
  using Finish = HopperFinish<T, Tile>;
  using Finish::meet_consumers, Finish::memory, Finish::p, Finish::split, Finish::thread;
  using typename Finish::Place;

  MFS_DEVICE float* table(int entry) const {
    return reinterpret_cast<float*>(memory + Tile::kPanelsAt) + entry * Tile::kTableStride;
  }

  static MFS_DEVICE simt::F32x4 blend(const simt::F32x4& a, const simt::F32x4& b, float t) {
    return {(1 - t) * a.x + t * b.x, (1 - t) * a.y + t * b.y, (1 - t) * a.z + t * b.z, (1 - t) * a.w + t * b.w};
  }
  // Adds four neighbouring channels of a prior between four of its values.
  static MFS_DEVICE void add(simt::F32x4& sum, const float* first, const Lerp& y, const Lerp& x) {
    const auto at = [first](int offset) { return simt::load(reinterpret_cast<const simt::F32x4*>(first + offset)); };
    const simt::F32x4 top = blend(at(y.lo + x.lo), at(y.lo + x.hi), x.t);
    const simt::F32x4 v = blend(top, blend(at(y.hi + x.lo), at(y.hi + x.hi), x.t), y.t);
    sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
  }

  // What lies past the image, the nodes or, in an unfilled cluster, the images is that of the last one: nobody uses it.
  // Channels past the last one are 0.
  MFS_DEVICE void make_table(const Place& at) const {
    constexpr int kFours = Tile::kOwnColumns / 4;
    const HopperHeadParams& h = p.head;
    const int image = at.image < p.images ? at.image : p.images - 1, first_node = simt::load_constant(&h.columns[at.x].lo);
    meet_consumers();  // The table of the tile before is not needed any more.
    for (int i = thread; i < h.table_rows * h.row_nodes * kFours; i += Tile::kConsumers * 128) {
      const int entry = i / kFours, c = i % kFours * 4, channel = at.column + split * Tile::kOwnColumns + c;
      const int y = at.y + entry / h.row_nodes, node = first_node + entry % h.row_nodes;
      const Lerp *rows = h.rows + (y < p.out_h ? y : p.out_h - 1) * h.levels,
                 *nodes = h.nodes + (node < h.node_count ? node : h.node_count - 1) * h.levels;
      simt::F32x4 sum{0, 0, 0, 0};
      for (int level = 0; channel < p.columns && level < h.levels; ++level)
        add(sum, h.priors[level].values + image * h.priors[level].image + channel, load_lerp(rows + level),
            load_lerp(nodes + level));
      simt::store(reinterpret_cast<simt::F32x4*>(table(entry) + c), sum);
    }
    meet_consumers();
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
