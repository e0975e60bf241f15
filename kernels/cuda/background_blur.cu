// The blur of cpu/background_blur.cpp. A block of threads sums discs for a tile of the grid: it turns the rows that the tile's
// discs touch into prefix sums in shared memory, so that every chord is a difference. Where the grid is the photo itself (small
// radii) one kernel does everything and needs no scratch; else the grid is made first, and laid under the subject last.
#include "kernels/cuda/photo.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/effects.h"
#include "kernels/effects_geometry.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kPlanes = 4;  // red, green and blue times weight; weight
constexpr int kTileWidth = 64, kTileHeight = 16, kThreads = 256;
constexpr int kWarps = kThreads / 32, kTileRows = kTileHeight * kTileWidth / kThreads;  // rows of a thread
constexpr int kComposeRows = 4;                                                         // per thread

struct BlurChord {
  int full;
  float inner, outer;  // shares of the `full` blocks on each side and of one more
};

struct BlurParams {
  Photo photo;
  Map probability;
  MutPhoto dst;
  int block, width, height, reach;  // of the grid
  int lanes;                        // that make a grid cell together
  BlurChord chords[kMaxReach + 1];
  simt::U32x4* cells;    // the grid: mean colours times mean weight, mean weight
  simt::F32x4* blurred;  // its disc sums
};

// Squared colours times weight, and weight.
MFS_DEVICE void weighted_pixel(const BlurParams& p, int x, int y, int (&v)[kPlanes]) {
  const Pixel px = load_pixel(p.photo, pixel_at(p.photo, x, y));
  const int weight = background_weight(soft_alpha(value_at(p.probability, x, y)));
  v[0] = weight * px.r * px.r, v[1] = weight * px.g * px.g, v[2] = weight * px.b * px.b, v[3] = weight;
}

// `lanes` neighbouring threads for a cell of block x block pixels. The mean weight is rounded up so that no background is lost;
// all four numbers are integers below 2^24.
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads) blur_cells_kernel(BlurParams p) {
  simt::grid_dependency_wait();
  const uint32_t thread = global_thread(), cell = thread / p.lanes, cells = static_cast<uint32_t>(p.width) * p.height;
  const int lane = static_cast<int>(thread % p.lanes);
  float sum[kPlanes] = {};
  if (cell < cells) {
    const int left = static_cast<int>(cell % p.width) * p.block, top = static_cast<int>(cell / p.width) * p.block;
    const int right = left + p.block < p.photo.width ? left + p.block : p.photo.width;
    const int bottom = top + p.block < p.photo.height ? top + p.block : p.photo.height;
    for (int y = top; y < bottom; ++y) {
      for (int x = left + lane; x < right; x += p.lanes) {
        int v[kPlanes];
        weighted_pixel(p, x, y, v);
        MFS_UNROLL
        for (int i = 0; i < kPlanes; ++i) sum[i] += static_cast<float>(v[i]);
      }
    }
  }
  for (int distance = p.lanes / 2; distance > 0; distance /= 2) {
    MFS_UNROLL
    for (int i = 0; i < kPlanes; ++i) sum[i] += simt::shuffle_xor(sum[i], distance);
  }
  if (cell >= cells || lane != 0) return;
  const float area = static_cast<float>(p.block * p.block), total = sum[3] > 1 ? sum[3] : 1.0f;
  const int weight = static_cast<int>((sum[3] + area - 1) / area);
  uint32_t colour[3];
  MFS_UNROLL
  for (int i = 0; i < 3; ++i) colour[i] = static_cast<uint32_t>(sum[i] / total * static_cast<float>(weight) + 0.5f);
  simt::store(p.cells + cell, simt::U32x4{colour[0], colour[1], colour[2], static_cast<uint32_t>(weight)});
}

template <bool kPixels>
MFS_DEVICE void load_cell(const BlurParams& p, int x, int y, uint32_t (&v)[kPlanes]) {
  if (x < 0 || x >= p.width || y < 0 || y >= p.height) {
    v[0] = v[1] = v[2] = v[3] = 0;
  } else if constexpr (kPixels) {
    int weighted[kPlanes];
    weighted_pixel(p, x, y, weighted);
    MFS_UNROLL
    for (int i = 0; i < kPlanes; ++i) v[i] = static_cast<uint32_t>(weighted[i]);
  } else {
    const simt::U32x4 cell = simt::load(p.cells + int64_t{y} * p.width + x);
    v[0] = cell.x, v[1] = cell.y, v[2] = cell.z, v[3] = cell.w;
  }
}

// Cells of a tile's row that its discs touch, and one more on each side for the chords' fractions.
MFS_HOST_DEVICE int tile_cells(int reach) { return kTileWidth + 2 * (reach + 1); }
MFS_HOST_DEVICE int tile_pitch(int reach) { return tile_cells(reach) + 1; }  // between the planes of a row

// sums[i] becomes the sum of the i cells from (x, y) on, modulo 2^32: differences over a chord are exact all the same.
template <bool kPixels>
MFS_DEVICE void accumulate_row(const BlurParams& p, int x, int y, uint32_t* sums) {
  const int lane = static_cast<int>(simt::lane_index()), cells = tile_cells(p.reach), pitch = tile_pitch(p.reach);
  if (lane < kPlanes) sums[lane * pitch] = 0;
  uint32_t total[kPlanes] = {};
  for (int begin = 0; begin < cells; begin += 32) {
    const int i = begin + lane;
    uint32_t v[kPlanes];
    load_cell<kPixels>(p, i < cells ? x + i : -1, y, v);
    MFS_UNROLL
    for (int plane = 0; plane < kPlanes; ++plane) {
      MFS_UNROLL
      for (int distance = 1; distance < 32; distance *= 2) {
        const uint32_t before = simt::shuffle_up(v[plane], distance);
        v[plane] += lane >= distance ? before : 0;
      }
      v[plane] += total[plane];
      if (i < cells) sums[plane * pitch + i + 1] = v[plane];
      total[plane] = simt::shuffle_from(v[plane], 31);
    }
  }
}

// The blurred colours show through where the pixel is not opaque.
MFS_DEVICE uint32_t composed(const BlurParams& p, int x, int y, const float (&under)[kPlanes]) {
  const Pixel px = load_pixel(p.photo, pixel_at(p.photo, x, y));
  const float opacity = static_cast<float>(soft_alpha(value_at(p.probability, x, y))) * (1 / 255.0f);
  const float scale = 1 / (under[3] > 1e-6f ? under[3] : 1e-6f);  // nothing is in reach only of opaque pixels
  int rgb[3] = {px.r, px.g, px.b};
  MFS_UNROLL
  for (int c = 0; c < 3; ++c) {
    const float behind = sqrtf((under[c] > 0 ? under[c] : 0.0f) * scale);
    const float value = behind + (static_cast<float>(rgb[c]) - behind) * opacity;
    rgb[c] = static_cast<int>((value < 255 ? value : 255.0f) + 0.5f);
  }
  return packed_rgb(rgb[0], rgb[1], rgb[2]);
}

// kPixels: the grid is the photo, and the result goes straight under the subject.
template <bool kPixels>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kThreads) blur_discs_kernel(const MFS_GRID_CONSTANT BlurParams p) {
  simt::grid_dependency_wait();
  auto* sums = reinterpret_cast<uint32_t*>(simt::shared_memory());  // rows of planes of prefix sums
  const int tiles = (p.width + kTileWidth - 1) / kTileWidth, tile = static_cast<int>(simt::block_index().x);
  const int left = tile % tiles * kTileWidth, top = tile / tiles * kTileHeight, pad = p.reach + 1;
  const int pitch = tile_pitch(p.reach), row_step = kPlanes * pitch;
  for (int row = static_cast<int>(simt::warp_index()); row < kTileHeight + 2 * p.reach; row += kWarps)
    accumulate_row<kPixels>(p, left - pad, top - p.reach + row, sums + row * row_step);
  simt::sync_block();

  const int thread = static_cast<int>(simt::thread_index().x), column = thread % kTileWidth;
  const int x = left + column, last = p.width - 1;
  for (int i = 0; i < kTileRows; ++i) {
    const int row = thread / kTileWidth + i * (kThreads / kTileWidth), y = top + row;
    if (y >= p.height) return;  // whole warps
    const uint32_t* middle = sums + (row + p.reach) * row_step + column + pad;
    float sum[kPlanes] = {};
    for (int dy = 0; dy <= p.reach; ++dy) {
      const BlurChord chord = p.chords[dy];
      const uint32_t *up = middle - dy * row_step, *down = middle + dy * row_step;
      MFS_UNROLL
      for (int plane = 0; plane < kPlanes; ++plane, up += pitch, down += pitch) {
        const uint32_t *up_end = up + chord.full + 1, *up_begin = up - chord.full;
        const uint32_t *down_end = down + chord.full + 1, *down_begin = down - chord.full;
        const uint32_t whole = up_end[0] - up_begin[0] + down_end[0] - down_begin[0];
        const uint32_t wider = up_end[1] - up_begin[-1] + down_end[1] - down_begin[-1];
        sum[plane] += chord.inner * static_cast<float>(static_cast<int32_t>(whole)) +
                      chord.outer * static_cast<float>(static_cast<int32_t>(wider));
      }
    }
    if constexpr (kPixels) {
      store_rgb(p.dst, x, y, composed(p, x < last ? x : last, y, sum));
    } else if (x <= last) {
      simt::store(p.blurred + int64_t{y} * p.width + x, simt::F32x4{sum[0], sum[1], sum[2], sum[3]});
    }
  }
}

// The two cells around a photo position and how far it is from the first to the second; beyond the outermost cells they
// continue.
struct Between {
  int lo, hi;
  float t;
};
MFS_DEVICE Between between_cells(int position, int block, float per_block, int cells) {
  const int cell = position / block;
  const float offset = (static_cast<float>(position - cell * block) + 0.5f) * per_block + 0.5f;  // from the block before
  const int step = static_cast<int>(offset), lo = cell + step - 1, hi = lo + 1;
  return {lo > 0 ? lo : 0, hi < cells ? hi : cells - 1, offset - static_cast<float>(step)};
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(kStripWidth) blur_compose_kernel(BlurParams p) {
  simt::grid_dependency_wait();
  const auto [x, first] = strip_position(p.photo.width, kComposeRows);
  const int column = x < p.photo.width ? x : p.photo.width - 1;  // whole warps store
  const float per_block = 1 / static_cast<float>(p.block);
  const Between h = between_cells(column, p.block, per_block, p.width);
  for (int y = first; y < first + kComposeRows && y < p.photo.height; ++y) {
    const Between v = between_cells(y, p.block, per_block, p.height);
    const simt::F32x4 *upper = p.blurred + int64_t{v.lo} * p.width, *lower = p.blurred + int64_t{v.hi} * p.width;
    const simt::F32x4 a = simt::load(upper + h.lo), b = simt::load(upper + h.hi), c = simt::load(lower + h.lo),
                      d = simt::load(lower + h.hi);
    const auto mix = [&](float a_value, float b_value, float c_value, float d_value) {
      const float l = a_value + v.t * (c_value - a_value), r = b_value + v.t * (d_value - b_value);
      return l + h.t * (r - l);
    };
    const float under[kPlanes] = {mix(a.x, b.x, c.x, d.x), mix(a.y, b.y, c.y, d.y), mix(a.z, b.z, c.z, d.z),
                                  mix(a.w, b.w, c.w, d.w)};
    store_rgb(p.dst, x, y, composed(p, column, y, under));
  }
}

BlurParams params_of(const BackgroundBlur& e, const BlurGrid& grid) {
  BlurParams p{};
  p.photo = photo_of(e.image), p.probability = map_of(e.probability), p.dst = photo_of(e.dst);
  p.block = grid.block, p.width = grid.width, p.height = grid.height, p.reach = grid.reach;
  p.lanes = 1;
  while (2 * p.lanes <= std::min(grid.block, 32)) p.lanes *= 2;
  for (int dy = 0; dy <= grid.reach; ++dy) {
    const Chord chord = grid.chords[dy];
    const float share = dy == 0 ? 0.5f : 1.0f;  // the middle row is its own mirror image
    p.chords[dy] = {chord.full, share * (1 - chord.part), share * chord.part};
  }
  p.cells = reinterpret_cast<simt::U32x4*>(e.scratch.data());
  p.blurred = reinterpret_cast<simt::F32x4*>(p.cells + std::int64_t{grid.width} * grid.height);
  return p;
}

}  // namespace
}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const BackgroundBlur& e) {
  const BlurGrid grid(e.image.width, e.image.height, e.radius);
  const auto cells = static_cast<std::size_t>(grid.width) * static_cast<std::size_t>(grid.height);
  return grid.block == 1 ? 0 : cells * (sizeof(simt::U32x4) + sizeof(simt::F32x4));
}

Status run(const Cuda& cuda, const BackgroundBlur& e) {
  constexpr const char* kOp = "background_blur";
  if (Status s = check(e); !s) return s;
  if (e.scratch.size() < scratch_bytes(cuda, e)) return invalid("the scratch memory of the background blur is too small");
  if (reinterpret_cast<std::uintptr_t>(e.scratch.data()) % sizeof(simt::U32x4) != 0)
    return invalid("the scratch memory of the background blur is not 16-byte aligned");
  const BlurGrid grid(e.image.width, e.image.height, e.radius);
  const BlurParams params = params_of(e, grid);
  const std::int64_t cell_threads = std::int64_t{grid.width} * grid.height * params.lanes;
  for (const std::int64_t items : {cell_threads + kThreads, strips_of(e.image.width, e.image.height, kComposeRows)})
    if (Status s = check_items(kOp, items); !s) return s;
  const std::int64_t tiles =
      std::int64_t{(grid.width + kTileWidth - 1) / kTileWidth} * ((grid.height + kTileHeight - 1) / kTileHeight);
  simt::LaunchShape discs = threads_for("background_blur discs", tiles * kThreads, kThreads);
  discs.shared_bytes = sizeof(uint32_t) * kPlanes * (kTileHeight + 2 * grid.reach) * tile_pitch(grid.reach);
  const simt::Queue queue = stream_of(cuda);
  if (grid.block == 1) return simt::launch(queue, discs, blur_discs_kernel<true>, params);
  const simt::LaunchShape cells = threads_for("background_blur cells", cell_threads, kThreads);
  if (Status s = simt::launch(queue, cells, blur_cells_kernel, params); !s) return s;
  if (Status s = simt::launch(queue, discs, blur_discs_kernel<false>, params); !s) return s;
  const simt::LaunchShape compose = strips_for("background_blur compose", e.image.width, e.image.height, kComposeRows);
  return simt::launch(queue, compose, blur_compose_kernel, params);
}

}  // namespace mfs::core
