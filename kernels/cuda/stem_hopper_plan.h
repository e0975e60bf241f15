// How the blocks of the stem's kernel divide the work.
#pragma once

#include <algorithm>

#include "kernels/stem.h"

namespace mfs::core {

inline constexpr int kStemMostRows = 4;  // of pooled pixels in a tile: more do not fit into shared memory

// Output channels of a block: 128, or 64 of parts that are no multiple of it or are pooled in 3x3, which is less work where all
// of them are the same.
constexpr int stem_columns(const StemPart& part) { return part.pool == 2 && part.channels % 128 == 0 ? 128 : 64; }
constexpr int stem_chunks(const StemPart& part) { return (part.channels + stem_columns(part) - 1) / stem_columns(part); }

// Every block keeps the filters of one chunk of channels; the `slots` blocks of a chunk share the images' rows, `rows` of
// pooled pixels at a time.
struct StemPlan {
  int rows = 1, slots = 1;
};

inline StemPlan stem_plan(const Stem& stem, int multiprocessors) {
  constexpr double kOverhead =
      2;  // an estimate, of a tile, in rows of the convolution: 3x3 pooling's additional one, the first loads
  int chunks = 0;
  for (const StemPart& part : stem.parts) chunks += stem_chunks(part);
  const int height = stem.src.h / 4, most_slots = std::max(1, multiprocessors / chunks);
  StemPlan best;
  double least = 0;
  for (int rows = 1; rows <= kStemMostRows; ++rows) {
    const int tiles = stem.src.n * ((height + rows - 1) / rows), slots = std::min(tiles, most_slots);
    const double time = (tiles + slots - 1) / slots * (2 * rows + kOverhead);
    if (rows == 1 || time < least) best = {rows, slots}, least = time;
  }
  return best;
}

// In builds with sm_90a code, where has_stem().
std::shared_ptr<const PreparedStem> prepare_stem_hopper(const Cuda& cuda, const Stem& stem, const ConvParameters& parameters,
                                                        const std::string& name, PackCache& cache);

}  // namespace mfs::core
