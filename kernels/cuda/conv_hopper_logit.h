// The end of a tile in the Hopper family when it is the pyramid head's: priors, ReLU, weights and the sum over the channels of
// each pixel, of which nothing else is stored.
#pragma once

#include "kernels/cuda/conv_hopper_priors.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, class Tile>
struct HopperLogit : HopperPriors<T, Tile> {
  using Finish = HopperFinish<T, Tile>;
  using Finish::finish, Finish::kOwnSums, Finish::lane, Finish::own_pixel, Finish::p, Finish::panel_place, Finish::two_at;
  using HopperPriors<T, Tile>::table;
  using typename Finish::Place, typename Finish::Sum, typename Finish::Two;

  static MFS_DEVICE Two two_in_table(const float* p) {
    const simt::U32x2 bits = simt::load(reinterpret_cast<const simt::U32x2*>(p));
    return {{simt::bits_as<float>(bits.x), simt::bits_as<float>(bits.y)}};
  }

  // One of the thread's two pixels, or the image's last one instead of what is outside.
  struct Between {
    const float *left, *right;  // entries of the table
    float t;
  };
  MFS_DEVICE Between between(const typename Finish::Pixel& pixel, const Place& at) const {
    const HopperHeadParams& h = p.head;
    const int y = pixel.y < p.out_h ? pixel.y : p.out_h - 1, x = pixel.x < p.out_w ? pixel.x : p.out_w - 1;
    const Lerp nodes = load_lerp(h.columns + x);
    const int entry = (y - at.y) * h.row_nodes - simt::load_constant(&h.columns[at.x].lo);
    return {table(entry + nodes.lo) + lane % 4 * 2, table(entry + nodes.hi) + lane % 4 * 2, nodes.t};
  }

  // A part of the logit is the sum over the channels that a block finishes.
  MFS_DEVICE void write_logit(const Sum (&sum)[kOwnSums], const Place& at) const {
    const HopperHeadParams& h = p.head;
    const auto panel = panel_place(at, 0);
    const int first = panel.c[0], channel = first + lane % 4 * 2;
    const Between prior[2] = {between(own_pixel(panel, 0), at), between(own_pixel(panel, 1), at)};
    float logit[2] = {};
    MFS_UNROLL
    for (int j = 0; j < Tile::kOwnColumns / 8; ++j) {
      const Two weight = two_at(h.weights + channel + 8 * j);
      MFS_UNROLL
      for (int i = 0; i < 2; ++i) {
        const Two v = finish(sum + 4 * j + 2 * i, channel + 8 * j, 0);
        const Two left = two_in_table(prior[i].left + 8 * j), right = two_in_table(prior[i].right + 8 * j);
        MFS_UNROLL
        for (int e = 0; e < 2; ++e) {
          const float x = v.v[e] + ((1 - prior[i].t) * left.v[e] + prior[i].t * right.v[e]);
          logit[i] += weight.v[e] * (x < 0 ? 0.0f : x);
        }
      }
    }
    MFS_UNROLL
    for (int i = 0; i < 2; ++i) {
      // Four threads have one pixel's channels.
      logit[i] += simt::shuffle_xor(logit[i], 1);
      logit[i] += simt::shuffle_xor(logit[i], 2);
      const auto pixel = own_pixel(panel, i);
      if (lane % 4 != 0 || !pixel.inside || first >= p.columns) continue;
      const int64_t number = (int64_t{at.image} * p.out_h + pixel.y) * p.out_w + pixel.x;
      simt::store(h.logit + number * h.parts + first / Tile::kOwnColumns, first == 0 ? h.bias + logit[i] : logit[i]);
    }
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
