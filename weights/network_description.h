// What the metadata of a weights file says about its network and its preprocessing (network.md section 4).
#pragma once

#include <array>
#include <string>
#include <vector>

#include "kernels/preprocess.h"

namespace mfs::core {

enum class Variant { kResnetMulti, kResnetEarly, kResnetBaseline };
enum class StrideIn { kConv1, kConv2 };
enum class StemPool { k3x3, k3x3Ceil, k2x2 };
enum class Fusion { kOwnInit, kLayer1, kNone };
enum class UpsampleDomain { kLogit, kProbability };

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
  int height = 512, width = 512;  // multiples of 8, at least 64
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, std{0.229f, 0.224f, 0.225f};
  Guidance guidance;  // kNone exactly for resnet-baseline
};

const char* to_string(Variant v);  // "resnet-multi"

// JSON text of `mfs.network` and `mfs.preprocess`. Throw Error(kBadWeights) with one sentence naming the field: a missing,
// unknown or wrongly typed field, an unknown or impossible value, a combination that contradicts itself.
NetworkDescription parse_network(const std::string& json);
PreprocessDescription parse_preprocess(const std::string& json, const NetworkDescription& network);

}  // namespace mfs::core
