#include "weights/network_description.h"

#include <algorithm>
#include <cstdint>

#include "kernels/error.h"
#include "kernels/pyramid_pool.h"
#include "weights/strict_json.h"

namespace mfs::core {
namespace {

// Far beyond any sensible network or photo; keeps every later product of sizes inside 64 bits.
constexpr int kMaxBlocks = 1000;
constexpr int kMaxSeReduction = 1 << 16;
constexpr int kMaxPspBin = 64;
constexpr int kMinSize = 64, kMaxSize = 1 << 15;

template <typename Enum>
struct Choice {
  const char* name;
  Enum value;
};

constexpr Choice<Variant> kVariants[] = {{"resnet-multi", Variant::kResnetMulti},
                                         {"resnet-early", Variant::kResnetEarly},
                                         {"resnet-baseline", Variant::kResnetBaseline},
                                         {"vgg-early", Variant::kVggEarly},
                                         {"vgg-baseline", Variant::kVggBaseline}};
constexpr Choice<StrideIn> kStrideIns[] = {{"conv1", StrideIn::kConv1}, {"conv2", StrideIn::kConv2}};
constexpr Choice<StemPool> kStemPools[] = {{"3x3", StemPool::k3x3}, {"3x3ceil", StemPool::k3x3Ceil}, {"2x2", StemPool::k2x2}};
constexpr Choice<Fusion> kFusions[] = {{"own_init", Fusion::kOwnInit}, {"layer1", Fusion::kLayer1}, {"none", Fusion::kNone}};
constexpr Choice<UpsampleDomain> kUpsamples[] = {{"logit", UpsampleDomain::kLogit},
                                                 {"probability", UpsampleDomain::kProbability}};

struct GuidanceKind {
  const char* parameter;  // the field that holds Guidance::parameter
  Guidance::Kind kind;
};
constexpr Choice<GuidanceKind> kGuidances[] = {{"gaussian", {"sigma", Guidance::Kind::kGaussian}},
                                               {"gaussian_fwhm", {"sigma", Guidance::Kind::kGaussianFwhm}},
                                               {"euclidean", {"clip", Guidance::Kind::kEuclidean}},
                                               {"disk", {"radius", Guidance::Kind::kDisk}},
                                               {"none", {nullptr, Guidance::Kind::kNone}}};

template <typename Enum, std::size_t kCount>
Enum choose(Fields& fields, const char* name, const Choice<Enum> (&choices)[kCount]) {
  const std::string text = fields.text(name);
  std::string allowed;
  for (const Choice<Enum>& choice : choices) {
    if (text == choice.name) return choice.value;
    allowed += std::string(allowed.empty() ? "" : ", ") + choice.name;
  }
  fields.fail(name, "is " + in_quotes(text) + ", not one of " + allowed);
}

float positive(Fields& fields, const char* name) {
  const float value = fields.number(name);
  if (!(value > 0)) fields.fail(name, "is not positive");
  return value;
}

Guidance parse_guidance(const nlohmann::json& object) {
  Fields fields(object, "mfs.preprocess: guidance");
  const GuidanceKind kind = choose(fields, "kind", kGuidances);
  Guidance guidance;
  guidance.kind = kind.kind;
  if (kind.parameter) {
    guidance.parameter = positive(fields, kind.parameter);
    if (fields.has("scale")) guidance.scale = positive(fields, "scale");
  }
  fields.finish();
  return guidance;
}

}  // namespace

const char* to_string(Variant v) {
  return std::find_if(std::begin(kVariants), std::end(kVariants), [v](const auto& c) { return c.value == v; })->name;
}

NetworkDescription parse_network(const std::string& json) {
  const JsonDocument document(json, "mfs.network");
  const nlohmann::json& object = document.root();
  Fields fields(object, "mfs.network");
  NetworkDescription network;

  network.variant = choose(fields, "variant", kVariants);
  // A VGG network need not say what means nothing to it; what it says must be sound all the same.
  const auto described = [&](const char* name) { return !is_vgg(network.variant) || fields.has(name); };
  if (described("blocks")) {
    const std::vector<std::int64_t> blocks = fields.integers("blocks", 4, 4, 0, kMaxBlocks);
    if (blocks[0] < 1 || blocks[1] < 1 || blocks[2] < 1) fields.fail("blocks", "must have at least one block in layers 1 to 3");
    std::transform(blocks.begin(), blocks.end(), network.blocks.begin(), [](std::int64_t n) { return static_cast<int>(n); });
  }
  if (described("stride_in")) network.stride_in = choose(fields, "stride_in", kStrideIns);
  if (described("stem_pool")) network.stem_pool = choose(fields, "stem_pool", kStemPools);
  network.fusion = described("fusion") ? choose(fields, "fusion", kFusions) : Fusion::kNone;
  if ((network.fusion != Fusion::kNone) != (network.variant == Variant::kResnetMulti)) {
    fields.fail("fusion",
                "is " + in_quotes(fields.text("fusion")) + ", which contradicts the variant " + to_string(network.variant));
  }
  if (described("se_reduction")) network.se_reduction = static_cast<int>(fields.integer("se_reduction", 1, kMaxSeReduction));
  if (described("psp_bins")) {
    const std::vector<std::int64_t> bins = fields.integers("psp_bins", 1, kMaxPyramidLevels, 1, kMaxPspBin);
    network.psp_bins.assign(bins.begin(), bins.end());
  }
  network.align_corners = fields.boolean("align_corners");
  network.upsample = choose(fields, "upsample", kUpsamples);
  fields.finish();
  return network;
}

PreprocessDescription parse_preprocess(const std::string& json, const NetworkDescription& network) {
  const JsonDocument document(json, "mfs.preprocess");
  const nlohmann::json& object = document.root();
  Fields fields(object, "mfs.preprocess");
  PreprocessDescription preprocess;

  const std::vector<std::int64_t> size = fields.integers("size", 2, 2, kMinSize, kMaxSize);
  const int multiple = size_multiple(network.variant);
  if (size[0] % multiple != 0 || size[1] % multiple != 0)
    fields.fail("size", "holds a side that is no multiple of " + std::to_string(multiple));
  preprocess.height = static_cast<int>(size[0]);
  preprocess.width = static_cast<int>(size[1]);

  const std::vector<float> mean = fields.numbers("mean", 3), std = fields.numbers("std", 3);
  if (!std::all_of(std.begin(), std.end(), [](float s) { return s > 0; }))
    fields.fail("std", "holds a value that is not positive");
  std::copy(mean.begin(), mean.end(), preprocess.mean.begin());
  std::copy(std.begin(), std.end(), preprocess.std.begin());

  preprocess.guidance = parse_guidance(fields.value("guidance"));
  if ((preprocess.guidance.kind != Guidance::Kind::kNone) != uses_guidance(network.variant)) {
    fields.fail("guidance", std::string("contradicts the variant ") + to_string(network.variant));
  }
  fields.finish();
  return preprocess;
}

}  // namespace mfs::core
