// Problems that tests and benchmarks share; the ones named after a layer are those of the network at 512x512.
#pragma once

#include <vector>

#include "kernels/conv.h"
#include "kernels/tensor_view.h"

namespace mfs::core::cases {

enum class Residual { kNone, kSeparate, kInPlace };

// gap: elements between the channels of neighbouring pixels (a slice of a wider tensor).
struct ConvCase {
  const char* name;
  Shape src;
  int cout, kernel, stride = 1, dilation = 1, pad = 0;
  int gap = 0;
  Residual residual = Residual::kNone;
  bool relu = false;
  int joined = 0, joined_stride = 1;  // channels of a second source
};
inline const std::vector<ConvCase> kConv{
    {"one number", {1, 1, 1, 1}, 1, 1},
    {"1x1, odd channels", {1, 7, 5, 3}, 5, 1},
    {"1x1 slices, residual, relu", {1, 9, 6, 20}, 37, 1, 1, 1, 0, 11, Residual::kSeparate, true},
    {"1x1 residual in place", {1, 8, 8, 32}, 48, 1, 1, 1, 0, 16, Residual::kInPlace, true},
    {"1x1 stride 2", {1, 9, 12, 16}, 24, 1, 2},
    {"1x1 wide to narrow", {1, 4, 5, 320}, 3, 1},
    {"2x2", {1, 6, 5, 5}, 6, 2, 1, 1, 0, 0, Residual::kNone, true},
    {"3x3 on one pixel", {1, 1, 1, 5}, 7, 3, 1, 1, 1},
    {"3x3 on one row", {1, 1, 13, 4}, 4, 3, 1, 1, 1},
    {"3x3 two images", {2, 6, 9, 5}, 3, 3, 1, 1, 1, 2, Residual::kSeparate},
    {"3x3 stride 2, slices", {1, 11, 10, 24}, 40, 3, 2, 1, 1, 8, Residual::kNone, true},
    {"3x3 dilation 2", {1, 10, 13, 17}, 19, 3, 1, 2, 2, 0, Residual::kNone, true},
    {"3x3 dilation 3, residual in place", {1, 10, 7, 16}, 16, 3, 1, 3, 3, 0, Residual::kInPlace, true},
    {"3x3 dilation 4 wider than the map", {1, 5, 3, 8}, 8, 3, 1, 4, 4},
    {"3x3 without padding", {1, 8, 6, 16}, 9, 3},
    {"3x3 with more padding than reach", {1, 4, 5, 3}, 8, 3, 1, 1, 3},
    {"4x4 stride 2", {1, 9, 9, 6}, 10, 4, 2, 1, 1},
    {"5x5 dilation 2", {1, 12, 9, 7}, 5, 5, 1, 2, 4, 3},
    {"6x6", {1, 9, 8, 3}, 4, 6, 1, 1, 2},
    {"7x7 stride 2, guidance and photo", {1, 22, 17, 4}, 320, 7, 2, 1, 3, 0, Residual::kNone, true},
    {"7x7 stride 2, photo", {1, 16, 19, 3}, 64, 7, 2, 1, 3, 5},
    {"7x7 dilation 2", {1, 9, 15, 5}, 6, 7, 1, 2, 6},
    {"3x3 dilation 2 of layer3, 16x16", {1, 16, 16, 256}, 256, 3, 1, 2, 2, 0, Residual::kNone, true},
    {"3x3 on a large map", {1, 91, 93, 128}, 128, 3, 1, 1, 1, 0, Residual::kSeparate, true},
    {"layer1.0.conv2, quarter size", {1, 32, 32, 64}, 64, 3, 1, 1, 1, 0, Residual::kNone, true},
};
// Tiles, tails and splits of matrix products: rows are pixels. For the tensor cores of GPUs.
inline const std::vector<ConvCase> kConvTiles{
    {"one tile exactly", {1, 16, 8, 64}, 128, 1},
    {"one row and column more than a tile", {1, 3, 43, 64}, 136, 1, 1, 1, 0, 0, Residual::kSeparate, true},
    {"slices of 8, three images", {3, 5, 7, 24}, 40, 3, 1, 1, 1, 16, Residual::kInPlace, true},
    {"slices that are not aligned", {1, 6, 7, 16}, 24, 3, 1, 1, 1, 3, Residual::kSeparate, true},
    {"long sum on a small map", {1, 4, 4, 1024}, 64, 1, 1, 1, 0, 0, Residual::kSeparate, true},
    {"long 3x3 sum on a small map", {1, 3, 5, 256}, 40, 3, 1, 2, 2, 0, Residual::kNone, true},
    {"stem of a wide photo", {2, 10, 96, 4}, 96, 7, 2, 1, 3, 0, Residual::kNone, true},
    {"5x5 stride 2 of 4 channels", {1, 12, 10, 4}, 16, 5, 2, 1, 2},
    {"4x4 stride 2 of 4 channels, even padding", {1, 12, 10, 4}, 16, 4, 2, 1, 2},
};
// A projected shortcut that joins the convolution it is added to.
inline const std::vector<ConvCase> kConvJoined{
    {"1x1 + 1x1", {1, 9, 7, 64}, 96, 1, 1, 1, 0, 0, Residual::kNone, true, 64},
    {"1x1 + 1x1 stride 2", {1, 5, 6, 128}, 64, 1, 1, 1, 0, 8, Residual::kNone, true, 72, 2},
    {"1x1 + 1x1, odd channels", {2, 5, 4, 19}, 21, 1, 1, 1, 0, 0, Residual::kSeparate, true, 13},
    {"3x3 stride 2 + 1x1 stride 2", {1, 11, 9, 16}, 24, 3, 2, 1, 1, 0, Residual::kNone, true, 8, 2},
};
// Run with every plan of the Hopper family: all tiles, splits and clusters. Several tiles, not all of them full; the race
// detector looks at the first.
inline const std::vector<ConvCase> kConvHopper{
    {"1x1, flat, residual", {1, 5, 31, 136}, 136, 1, 1, 1, 0, 0, Residual::kSeparate, true},
    {"3x3 dilation 2, two images", {2, 9, 13, 72}, 264, 3, 1, 2, 2, 8, Residual::kInPlace, true},
    {"3x3 stride 2 + 1x1 stride 2", {1, 19, 35, 64}, 72, 3, 2, 1, 1, 0, Residual::kNone, true, 72, 2},
    {"a cluster with too many columns", {1, 3, 5, 32}, 640, 1},
};
// With sums over parts of images, which tiles do not fill; the first one with every plan.
inline const std::vector<ConvCase> kConvHopperSums{
    {"3x3 + 1x1, two images", {2, 9, 13, 16}, 136, 3, 1, 1, 1, 0, Residual::kNone, true, 16},
    {"1x1, two images, residual", {2, 5, 31, 200}, 136, 1, 1, 1, 0, 8, Residual::kInPlace},
    {"1x1, flat", {1, 9, 33, 72}, 520, 1, 1, 1, 0, 0, Residual::kSeparate, true},
};
// In int8 and fp8, which need multiples of 16 channels there; the race detector looks at the first two.
inline const std::vector<ConvCase> kConvHopperNarrow{
    {"1x1, flat, residual", {1, 5, 31, 144}, 144, 1, 1, 1, 0, 0, Residual::kSeparate, true},
    {"1x1, slices, no ReLU", {1, 5, 31, 48}, 80, 1, 1, 1, 0, 16},
    {"3x3 dilation 2, two images", {2, 9, 13, 48}, 144, 3, 1, 2, 2, 16, Residual::kInPlace, true},
    {"3x3 stride 2 + 1x1 stride 2", {1, 19, 35, 64}, 80, 3, 2, 1, 1, 0, Residual::kNone, true, 80, 2},
};
// Layers of the network on small maps.
inline const std::vector<ConvCase> kConvSmallLayers{
    {"layer2.0.conv3 and its shortcut", {1, 9, 7, 128}, 512, 1, 1, 1, 0, 0, Residual::kNone, true, 256, 2},
    {"layer3.1.conv1", {1, 7, 9, 1024}, 256, 1, 1, 1, 0, 0, Residual::kNone, true},
    {"layer3.1.conv2", {1, 7, 6, 256}, 256, 3, 1, 2, 2, 0, Residual::kNone, true},
    {"layer3.1.conv3", {1, 11, 13, 256}, 1024, 1, 1, 1, 0, 0, Residual::kInPlace, true},
    {"layer4.1.conv2", {1, 5, 6, 512}, 512, 3, 1, 4, 4, 0, Residual::kNone, true},
};
inline const std::vector<ConvCase> kConvLayers{
    {"conv1 + init.0", {1, 512, 512, 4}, 320, 7, 2, 1, 3, 0, Residual::kNone, true},
    {"layer1.0.conv2", {1, 128, 128, 64}, 64, 3, 1, 1, 1, 0, Residual::kNone, true},
    {"layer1.1.conv3", {1, 128, 128, 64}, 256, 1, 1, 1, 0, 0, Residual::kInPlace, true},
    {"layer2.1.conv2", {1, 64, 64, 128}, 128, 3, 1, 1, 1, 0, Residual::kNone, true},
    {"layer3.1.conv1", {1, 64, 64, 1024}, 256, 1, 1, 1, 0, 0, Residual::kNone, true},
    {"layer3.1.conv2", {1, 64, 64, 256}, 256, 3, 1, 2, 2, 0, Residual::kNone, true},
    {"layer3.1.conv3", {1, 64, 64, 256}, 1024, 1, 1, 1, 0, 0, Residual::kInPlace, true},
    {"layer4.1.conv2", {1, 64, 64, 512}, 512, 3, 1, 4, 4, 0, Residual::kNone, true},
    {"fusion.0.conv1", {1, 128, 128, 256}, 256, 3, 1, 1, 1, 0, Residual::kNone, true},
};

inline Conv problem(const ConvCase& k, DType dtype) {
  Conv p{k.src, {}, k.kernel, k.stride, k.dilation, k.pad, dtype};
  p.dst = {k.src.n, conv_size(k.src.h, k.kernel, k.stride, k.dilation, k.pad),
           conv_size(k.src.w, k.kernel, k.stride, k.dilation, k.pad), k.cout};
  p.residual = k.residual != Residual::kNone, p.relu = k.relu;
  if (k.joined > 0) {
    p.joined = {k.src.n, (p.dst.h - 1) * k.joined_stride + 1, (p.dst.w - 1) * k.joined_stride + 1, k.joined};
    p.joined_stride = k.joined_stride;
  }
  if (k.gap == 0) return p;
  p.src_pitch = k.src.c + k.gap, p.dst_pitch = k.cout + k.gap;
  if (k.joined > 0) p.joined_pitch = k.joined + k.gap;
  if (p.residual) p.residual_pitch = k.residual == Residual::kInPlace ? p.dst_pitch : k.cout + 2 * k.gap;
  return p;
}

}  // namespace mfs::core::cases
