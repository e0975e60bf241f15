// What the metadata of a weights file says about its network and its preprocessing (network.md section 4).
#pragma once

#include <array>
#include <string>
#include <vector>

#include "kernels/preprocess.h"

namespace mfs::core {

enum class Variant { kResnetMulti, kResnetEarly, kResnetBaseline, kVggEarly, kVggBaseline };
enum class StrideIn { kConv1, kConv2 };
enum class StemPool { k3x3, k3x3Ceil, k2x2 };
enum class Fusion { kOwnInit, kLayer1, kNone };
enum class UpsampleDomain { kLogit, kProbability };

// VGG networks have a variant, align_corners and upsample; the other fields mean nothing to them.
struct NetworkDescription {
  Variant variant = Variant::kResnetMulti;
  std::array<int, 4> blocks{3, 4, 23, 3};  // residual blocks per layer; the last may be 0
  StrideIn stride_in = StrideIn::kConv1;
  StemPool stem_pool = StemPool::k3x3;
  Fusion fusion = Fusion::kOwnInit;  // kNone exactly for early and baseline
  int se_reduction = 16;
  std::vector<int> psp_bins{1, 2, 3, 6};
  bool align_corners = true;
  UpsampleDomain upsample = UpsampleDomain::kLogit;
};

struct PreprocessDescription {
  int height = 512, width = 512;  // multiples of size_multiple(), at least 64
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, std{0.229f, 0.224f, 0.225f};
  Guidance guidance;  // kNone exactly for the baselines
};

const char* to_string(Variant v);  // "resnet-multi"

// VGG-16 FCN-8s in place of a dilated ResNet with a pyramid.
constexpr bool is_vgg(Variant v) { return v == Variant::kVggEarly || v == Variant::kVggBaseline; }
// The paper's baselines see no tap: three input channels.
constexpr bool uses_guidance(Variant v) { return v != Variant::kResnetBaseline && v != Variant::kVggBaseline; }
// What the sides of the network's input must be multiples of: its coarsest map has a 32nd of them (VGG) or an eighth.
constexpr int size_multiple(Variant v) { return is_vgg(v) ? 32 : 8; }

// JSON text of `mfs.network` and `mfs.preprocess`. Throw Error(kBadWeights) with one sentence naming the field: a missing,
// unknown or wrongly typed field, an unknown or impossible value, a combination that contradicts itself.
NetworkDescription parse_network(const std::string& json);
PreprocessDescription parse_preprocess(const std::string& json, const NetworkDescription& network);

}  // namespace mfs::core
