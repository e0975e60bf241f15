// One launch works out the resize filters, a second one resizes, normalises and draws the guidance map. There a warp makes 32
// neighbouring outputs of one row: its lanes first sum the photo's rows over the columns that these need, several bytes each,
// into shared memory, in pieces when they are many, and then each lane sums its own columns. Every photo byte is read twice per
// axis at most, mostly from the caches; nothing photo-sized is written.
#include "kernels/preprocess.h"

#include "kernels/cuda/element.h"
#include "kernels/cuda/simt/barriers.h"
#include "kernels/cuda/taps.h"
#include "kernels/preprocess_geometry.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kTileWidth = 32, kTileHeight = 8;  // outputs of a block, a warp each row
constexpr int kTileBlocks = 4;                   // per multiprocessor: leaves registers enough on every target
constexpr int kPiece = 1024;                     // column sums that a warp keeps: 32 outputs when shrinking 10 times
constexpr int kGroup = 4;                        // neighbouring bytes of a lane

// Weight j of position i is weight[j * positions + i], so that neighbouring lanes read neighbouring weights.
struct AxisFilter {
  TriangleFilter rule;
  int positions;
  int *first, *count;
  float* weight;
};

AxisFilter take_filter(int src, int dst, ScratchCutter& scratch) {
  const TriangleFilter rule(src, dst);
  int *first = scratch.take<int>(dst), *count = scratch.take<int>(dst);
  return {rule, dst, first, count, scratch.take<float>(std::int64_t{dst} * rule.most())};
}

struct GuidanceParams {
  Guidance::Kind kind;
  double x_ratio, y_ratio;  // network pixels per photo pixel
  double factor, limit;     // of the exponent; the squared radius
  float clip, scale;
};

struct PreprocessParams {
  const uint8_t* image;
  int64_t row_stride;
  int row_bytes;
  bool words;  // every row is aligned for 32-bit loads
  AxisFilter x, y;
  Colour colour;
  GuidanceParams guidance;
  int channels, pitch;
  bool vectors;  // four channels at a time
  Taps taps;
};

MFS_DEVICE void fill_filter(const AxisFilter& f, int i) {
  const FilterWindow window = window_at(f.rule, i);
  float total = 0;
  for (int j = 0; j < window.count; ++j) total += weight_at(f.rule, window, j);
  for (int j = 0; j < window.count; ++j)
    simt::store(f.weight + int64_t{j} * f.positions + i, weight_at(f.rule, window, j) / total);
  simt::store(f.first + i, window.first);
  simt::store(f.count + i, window.count);
}

MFS_KERNEL void MFS_LAUNCH_BOUNDS(128) preprocess_filters_kernel(AxisFilter x, AxisFilter y) {
  simt::grid_dependency_wait();
  const int i = static_cast<int>(global_thread());
  if (i < x.positions) {
    fill_filter(x, i);
  } else if (i - x.positions < y.positions) {
    fill_filter(y, i - x.positions);
  }
}

// sum[k] of `count` weighted bytes below each other at p + k. Bytes from `bytes` on are beyond the row's end.
template <bool kWords>
MFS_DEVICE void sum_rows(const uint8_t* p, int64_t stride, int bytes, const float* weight, int weight_step, int count,
                         float (&sum)[kGroup]) {
  for (int j = 0; j < count; ++j, p += stride, weight += weight_step) {
    const float w = simt::load(weight);
    if constexpr (kWords) {
      const uint32_t word = simt::load(reinterpret_cast<const uint32_t*>(p));
      MFS_UNROLL
      for (int k = 0; k < kGroup; ++k) sum[k] += w * static_cast<float>(word >> 8 * k & 0xff);
    } else {
      MFS_UNROLL
      for (int k = 0; k < kGroup; ++k) {
        if (k < bytes) sum[k] += w * static_cast<float>(simt::load(p + k));
      }
    }
  }
}

// Every kind falls with distance, so the best tap is the nearest one.
MFS_DEVICE float guidance_at(const GuidanceParams& g, const Taps& taps, int x, int y) {
  double square = INFINITY;
  for (int i = 0; i < taps.count; ++i) {
    const double dx = x - ((taps.at[i].x + 0.5) * g.x_ratio - 0.5), dy = y - ((taps.at[i].y + 0.5) * g.y_ratio - 0.5);
    const double d2 = dx * dx + dy * dy;
    square = d2 < square ? d2 : square;
  }
  if (g.kind == Guidance::Kind::kNone) return 0;
  if (g.kind == Guidance::Kind::kDisk) return square <= g.limit ? g.scale : 0.0f;
  if (g.kind == Guidance::Kind::kEuclidean) {
    const float distance = sqrtf(static_cast<float>(square));
    return g.scale * ((distance < g.clip ? distance : g.clip) / g.clip);
  }
  return g.scale * expf(static_cast<float>(square * g.factor));
}

template <class T>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kTileWidth* kTileHeight, kTileBlocks)
    preprocess_kernel(T* dst, const MFS_GRID_CONSTANT PreprocessParams p) {
  simt::grid_dependency_wait();
  const int tiles = (p.x.positions + kTileWidth - 1) / kTileWidth, tile = static_cast<int>(simt::block_index().x);
  const int lane = static_cast<int>(simt::lane_index()), warp = static_cast<int>(simt::warp_index());
  const int tile_x = tile % tiles * kTileWidth, x = tile_x + lane, y = tile / tiles * kTileHeight + warp;
  if (y >= p.y.positions) return;  // whole warps, which never wait for each other
  float* sums = reinterpret_cast<float*>(simt::shared_memory()) + warp * kPiece;

  const int last = p.x.positions - 1, own = x < last ? x : last, tile_last = tile_x + 31 < last ? tile_x + 31 : last;
  const int first = simt::load(p.x.first + own), end = first + simt::load(p.x.count + own);
  const int columns_begin = simt::load(p.x.first + tile_x) & ~3;  // in any format a multiple of 4 bytes
  const int columns_end = simt::load(p.x.first + tile_last) + simt::load(p.x.count + tile_last);
  const int step = p.colour.step, piece = kPiece / step & ~3;
  const int rows = simt::load(p.y.count + y);
  const uint8_t* image = p.image + simt::load(p.y.first + y) * p.row_stride;
  float mean[3] = {};
  for (int begin = columns_begin; begin < columns_end; begin += piece) {
    const int columns = columns_end - begin < piece ? columns_end - begin : piece;
    for (int i = lane * kGroup; i < columns * step; i += 32 * kGroup) {
      const int offset = begin * step + i, bytes = p.row_bytes - offset;
      float sum[kGroup] = {};
      if (p.words && bytes >= kGroup) {
        sum_rows<true>(image + offset, p.row_stride, bytes, p.y.weight + y, p.y.positions, rows, sum);
      } else {
        sum_rows<false>(image + offset, p.row_stride, bytes, p.y.weight + y, p.y.positions, rows, sum);
      }
      simt::store(reinterpret_cast<simt::F32x4*>(sums + i), simt::F32x4{sum[0], sum[1], sum[2], sum[3]});
    }
    simt::sync_warp();
    const int from = first > begin ? first : begin, to = end < begin + columns ? end : begin + columns;
    for (int i = from; i < to; ++i) {
      const float w = simt::load(p.x.weight + int64_t{i - first} * p.x.positions + own);
      const float* sum = sums + (i - begin) * step;
      MFS_UNROLL
      for (int k = 0; k < 3; ++k) mean[k] += w * simt::load(sum + p.colour.source[k]);
    }
    simt::sync_warp();
  }
  if (x > last) return;

  float v[4];
  MFS_UNROLL
  for (int k = 0; k < 3; ++k) v[k] = mean[k] * p.colour.gain[k] + p.colour.offset[k];
  v[3] = guidance_at(p.guidance, p.taps, x, y);
  T* out = dst + (int64_t{y} * p.x.positions + x) * p.pitch;
  if (p.vectors) {
    if constexpr (sizeof(T) == sizeof(float)) {
      simt::store(reinterpret_cast<simt::F32x4*>(out), simt::F32x4{v[0], v[1], v[2], v[3]});
    } else {
      simt::store(reinterpret_cast<simt::U32x2*>(out), simt::U32x2{packed<T>(v[0], v[1]), packed<T>(v[2], v[3])});
    }
  } else {
    MFS_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (k < p.channels) simt::store(out + k, rounded<T>(v[k]));
    }
  }
}

struct Filters {
  AxisFilter x, y;
  std::size_t bytes;
};

Filters lay_out(const Preprocess& op, std::byte* memory) {
  ScratchCutter scratch(memory);
  const AxisFilter x = take_filter(op.image.width, op.dst.shape.w, scratch);
  const AxisFilter y = take_filter(op.image.height, op.dst.shape.h, scratch);
  return {x, y, scratch.used()};
}

GuidanceParams guidance_of(const Preprocess& op) {
  const Guidance& g = op.guidance;
  return {g.kind,
          static_cast<double>(op.dst.shape.w) / op.image.width,
          static_cast<double>(op.dst.shape.h) / op.image.height,
          gaussian_factor(g),
          double{g.parameter} * g.parameter,
          g.parameter,
          g.scale};
}

}  // namespace
}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const Preprocess& op) { return lay_out(op, nullptr).bytes; }

Status run(const Cuda& cuda, const Preprocess& op) {
  constexpr const char* kOp = "preprocess";
  if (Status s = check(op); !s) return s;
  if (Status s = check_scratch(kOp, op.scratch, scratch_bytes(cuda, op)); !s) return s;
  const Filters filters = lay_out(op, op.scratch.data());
  const int h = op.dst.shape.h, w = op.dst.shape.w;
  const Colour colour = colour_of(op);
  const std::int64_t row_bytes = std::int64_t{op.image.width} * colour.step;
  const std::int64_t tiles = std::int64_t{(w + kTileWidth - 1) / kTileWidth} * ((h + kTileHeight - 1) / kTileHeight);
  for (const std::int64_t items : {row_bytes + kPiece, tiles, std::int64_t{w} + h})
    if (Status s = check_items(kOp, items); !s) return s;
  const auto aligned = [](const void* p, std::uintptr_t bytes) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; };
  PreprocessParams params{op.image.data,
                          op.image.row_stride,
                          static_cast<int>(row_bytes),
                          aligned(op.image.data, 4) && op.image.row_stride % 4 == 0,
                          filters.x,
                          filters.y,
                          colour,
                          guidance_of(op),
                          op.dst.shape.c,
                          op.dst.pitch,
                          op.dst.shape.c == 4 && op.dst.pitch % 4 == 0 && aligned(op.dst.data, 4 * size_of(op.dst.dtype)),
                          {}};
  if (op.guidance.kind != Guidance::Kind::kNone) {
    if (Status s = pack(kOp, op.taps, params.taps); !s) return s;
  }
  const auto launch = [&]<class T, int kWidth>() -> Status {
    const simt::LaunchShape filling = threads_for("preprocess filters", std::int64_t{w} + h, 128);
    if (Status s = simt::launch(stream_of(cuda), filling, preprocess_filters_kernel, filters.x, filters.y); !s) return s;
    simt::LaunchShape shape = threads_for(kOp, tiles * kTileWidth * kTileHeight, kTileWidth * kTileHeight);
    shape.shared_bytes = kTileHeight * kPiece * sizeof(float);
    return simt::launch(stream_of(cuda), shape, preprocess_kernel<T>, static_cast<T*>(op.dst.data), params);
  };
  if (op.dst.dtype == DType::kF32) return launch.template operator()<float, 1>();
  return with_device_type(kOp, op.dst.dtype, false, launch);
}

}  // namespace mfs::core
