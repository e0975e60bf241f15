#include "kernels/pyramid_head.h"

#include "kernels/cuda/element.h"
#include "kernels/cuda/lerp.h"
#include "kernels/pyramid_pool.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

constexpr int kRun = 4;  // neighbouring pixels of a warp: most lie between the same columns of a prior, read once for all
static_assert(kRun * kMaxPyramidLevels == 32, "one lane for every position in a prior");

constexpr unsigned kHeadThreads = 128, kHeadBlocks = 4;  // per multiprocessor: leaves registers for what a run shares

struct Prior {
  const float* data;
  int bins;
  LerpAxis y, x;
};

struct PyramidHeadParams {
  int channels, h, w, pitch, levels;
  uint32_t runs_of_row, runs;
  float bias;
  Prior priors[kMaxPyramidLevels];
};

// out = (1 - t) * top + t * bottom
template <int kWidth>
MFS_DEVICE void blend(const float* top, const float* bottom, float t, float (&out)[kWidth]) {
  float a[kWidth], b[kWidth];
  load_channels<kWidth>(top, a);
  load_channels<kWidth>(bottom, b);
  MFS_UNROLL
  for (int i = 0; i < kWidth; ++i) out[i] = (1 - t) * a[i] + t * b[i];
}

// One warp for kRun pixels of a row, kWidth channels in each lane at a time.
template <class T, int kWidth>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(kHeadThreads, kHeadBlocks)
    pyramid_head_kernel(const T* features, const float* weights, float* logit, const MFS_GRID_CONSTANT PyramidHeadParams p) {
  simt::grid_dependency_wait();
  const uint32_t run = global_thread() / 32;
  if (run >= p.runs) return;
  const int lane = static_cast<int>(simt::lane_index()), first = static_cast<int>(run % p.runs_of_row) * kRun;
  const auto row = static_cast<int>(run / p.runs_of_row);
  const int image = row / p.h, last = p.w - 1;

  // Lane i works out where pixel i % kRun lies in prior i / kRun; all lanes ask it.
  Lerp own_x{}, own_y{};
  if (lane / kRun < p.levels) {
    own_x = lerp_on(p.priors[lane / kRun].x, first + lane % kRun);  // past the end of the row: as at its end
    own_y = lerp_on(p.priors[lane / kRun].y, row % p.h);
  }

  float sums[kRun] = {};
  for (int base = 0; base < p.channels; base += 32 * kWidth) {
    // A lane without channels loads those of lane 0, for nothing: shuffles need all lanes.
    const bool inside = base + lane * kWidth < p.channels;
    const int channel = inside ? base + lane * kWidth : base;
    float v[kRun][kWidth];
    MFS_UNROLL
    for (int i = 0; i < kRun; ++i) {
      const int x = first + i < last ? first + i : last;
      load_channels<kWidth>(features + (int64_t{row} * p.w + x) * p.pitch + channel, v[i]);
    }
    for (int level = 0; level < p.levels; ++level) {
      const int bins = p.priors[level].bins, row_size = bins * p.channels;
      const auto asked = static_cast<unsigned>(level * kRun);
      const float ty = simt::shuffle_from(own_y.t, asked);
      const float* corner = p.priors[level].data + int64_t{image} * bins * row_size + channel;
      const float* top = corner + int64_t{simt::shuffle_from(own_y.lo, asked)} * row_size;
      const float* bottom = corner + int64_t{simt::shuffle_from(own_y.hi, asked)} * row_size;
      float left[kWidth] = {}, right[kWidth] = {};
      int between = 0;  // the column in left
      MFS_UNROLL
      for (unsigned i = 0; i < kRun; ++i) {
        const int lo = simt::shuffle_from(own_x.lo, asked + i), hi = simt::shuffle_from(own_x.hi, asked + i);
        const float t = simt::shuffle_from(own_x.t, asked + i);
        if (i == 0 || lo != between) {
          blend<kWidth>(top + int64_t{lo} * p.channels, bottom + int64_t{lo} * p.channels, ty, left);
          blend<kWidth>(top + int64_t{hi} * p.channels, bottom + int64_t{hi} * p.channels, ty, right);
          between = lo;
        }
        MFS_UNROLL
        for (int c = 0; c < kWidth; ++c) v[i][c] += (1 - t) * left[c] + t * right[c];
      }
    }
    if (!inside) continue;
    float weight[kWidth];
    load_channels<kWidth>(weights + channel, weight);
    MFS_UNROLL
    for (int i = 0; i < kRun; ++i) {
      MFS_UNROLL
      for (int c = 0; c < kWidth; ++c) sums[i] += weight[c] * (v[i][c] < 0 ? 0.0f : v[i][c]);
    }
  }
  MFS_UNROLL
  for (int i = 0; i < kRun; ++i) {
    for (unsigned half = 16; half > 0; half /= 2) sums[i] += simt::shuffle_xor(sums[i], half);
    if (lane == i && first + i < p.w) simt::store(logit + int64_t{row} * p.w + first + i, p.bias + sums[i]);
  }
}

}  // namespace MFS_SIMT_BACKEND

std::size_t scratch_bytes(const Cuda&, const PyramidHead&) { return 0; }

Status run(const Cuda& cuda, const PyramidHead& op) {
  constexpr const char* kOp = "pyramid_head";
  if (Status s = check(op); !s) return s;
  const Shape& f = op.features.shape;
  if (op.priors.size() > kMaxPyramidLevels) {
    return refuse(
        kOp, "the GPU takes at most " + std::to_string(kMaxPyramidLevels) + " priors, not " + std::to_string(op.priors.size()));
  }
  PyramidHeadParams params{f.c, f.h, f.w, op.features.pitch, static_cast<int>(op.priors.size()), 0, 0, op.bias, {}};
  bool vectors = vectorises({op.features, View(op.weights, DType::kF32, {1, 1, 1, f.c})});
  for (std::size_t i = 0; i < op.priors.size(); ++i) {
    const View& prior = op.priors[i];
    const int bins = prior.shape.h;
    if (Status s = check_items(kOp, prior.shape.elements()); !s) return s;
    if (Status s = check_lerp(kOp, bins, f.h); !s) return s;
    if (Status s = check_lerp(kOp, bins, f.w); !s) return s;
    params.priors[i] = {static_cast<const float*>(prior.data), bins, lerp_axis(bins, f.h, op.align_corners),
                        lerp_axis(bins, f.w, op.align_corners)};
    vectors = vectors && vectorises({prior});
  }
  params.runs_of_row = (static_cast<uint32_t>(f.w) + kRun - 1) / kRun;
  const std::int64_t runs = std::int64_t{f.n} * f.h * params.runs_of_row;
  if (Status s = check_items(kOp, runs * 32); !s) return s;
  params.runs = static_cast<uint32_t>(runs);
  return with_device_type(kOp, op.features.dtype, vectors, [&]<class T, int kWidth>() {
    return simt::launch(stream_of(cuda), threads_for(kOp, runs * 32, kHeadThreads), pyramid_head_kernel<T, kWidth>,
                        static_cast<const T*>(op.features.data), op.weights, static_cast<float*>(op.logit.data), params);
  });
}

}  // namespace mfs::core
