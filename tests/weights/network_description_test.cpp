#include "weights/network_description.h"

#include <doctest/doctest.h>

#include "kernels/error.h"
#include "tests/weights/test_file.h"

namespace mfs::core {
namespace {

using test::kNetwork;
using test::kPreprocess;
using test::replaced;

template <typename Parse>
std::string sentence(const Parse& parse) {
  try {
    parse();
  } catch (const Error& error) {
    CHECK(error.code() == Code::kBadWeights);
    return error.what();
  }
  return "";
}

std::string network_sentence(const std::string& json) {
  return sentence([&] { parse_network(json); });
}
std::string preprocess_sentence(const std::string& json, Variant variant = Variant::kResnetMulti) {
  NetworkDescription network;
  network.variant = variant;
  return sentence([&] { parse_preprocess(json, network); });
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Damage {
  const char *from, *to, *expected;
};

TEST_CASE("every field of mfs.network arrives") {
  const NetworkDescription n = parse_network(
      R"({"variant":"resnet-multi","blocks":[1,2,3,0],"stride_in":"conv2","stem_pool":"3x3ceil","fusion":"layer1",)"
      R"("se_reduction":4,"psp_bins":[2,5],"align_corners":false,"upsample":"probability"})");
  CHECK(n.variant == Variant::kResnetMulti);
  CHECK(n.blocks == std::array{1, 2, 3, 0});
  CHECK(n.stride_in == StrideIn::kConv2);
  CHECK(n.stem_pool == StemPool::k3x3Ceil);
  CHECK(n.fusion == Fusion::kLayer1);
  CHECK(n.se_reduction == 4);
  CHECK(n.psp_bins == std::vector{2, 5});
  CHECK_FALSE(n.align_corners);
  CHECK(n.upsample == UpsampleDomain::kProbability);
}

TEST_CASE("all variants have names") {
  const std::string plain = replaced(kNetwork, "own_init", "none");
  CHECK(std::string(to_string(parse_network(kNetwork).variant)) == "resnet-multi");
  for (const char* name : {"resnet-early", "resnet-baseline", "vgg-early", "vgg-baseline"}) {
    CHECK(std::string(to_string(parse_network(replaced(plain, "resnet-multi", name)).variant)) == name);
  }
}

TEST_CASE("mfs.network: every damage has its sentence") {
  const Damage damages[] = {
      {"resnet-multi", "resnet-mega",
       "field variant is 'resnet-mega', not one of resnet-multi, resnet-early, resnet-baseline, vgg-early, vgg-baseline"},
      {"\"resnet-multi\"", "7", "field variant is not a string"},
      {"resnet-multi", "resnet-early", "field fusion is 'own_init', which contradicts the variant resnet-early"},
      {"resnet-multi", "vgg-early", "field fusion is 'own_init', which contradicts the variant vgg-early"},
      {"own_init", "none", "field fusion is 'none', which contradicts the variant resnet-multi"},
      {"own_init", "late", "field fusion is 'late', not one of own_init, layer1, none"},
      {"[3,4,23,3]", "[3,4,23]", "field blocks is not an array of 4 values"},
      {"[3,4,23,3]", "[3,4,23,3,3]", "field blocks is not an array of 4 values"},
      {"[3,4,23,3]", "[3,0,23,3]", "field blocks must have at least one block in layers 1 to 3"},
      {"[3,4,23,3]", "[3,4,23,-1]", "field blocks holds something else than integers of 0 to 1000"},
      {"[3,4,23,3]", "[3,4,23,1001]", "field blocks holds something else"},
      {"[3,4,23,3]", "[3,4,23,18446744073709551615]", "field blocks holds something else"},
      {"[3,4,23,3]", "[3,4,2.5,3]", "field blocks holds something else"},
      {"[3,4,23,3]", "{}", "field blocks is not an array"},
      {"conv1", "conv3", "field stride_in is 'conv3', not one of conv1, conv2"},
      {"\"3x3\"", "\"4x4\"", "field stem_pool is '4x4'"},
      {":16", ":0", "field se_reduction is not an integer of 1 to"},
      {":16", ":true", "field se_reduction is not an integer"},
      {"[1,2,3,6]", "[]", "field psp_bins is not an array of 1 to 8 values"},
      {"[1,2,3,6]", "[1,2,3,4,5,6,7,8,9]", "field psp_bins is not an array of 1 to 8 values"},
      {"[1,2,3,6]", "[1,2,3,0]", "field psp_bins holds something else than integers of 1 to 64"},
      {":true", ":1", "field align_corners is neither true nor false"},
      {"\"logit\"", "\"Logit\"", "field upsample is 'Logit', not one of logit, probability"},
      {"\"logit\"", "\"\\u001b[31m\"", "field upsample is '?[31m'"},
      {"{", R"({"speed":9,)", "unknown field 'speed'"},
      {"{", R"({"variant":"resnet-early",)", "has the key 'variant' twice"},
      {"}", "", "is not JSON"},
      {"}", "}}", "is not JSON"},
      {"{", "[{", "is not JSON"},
  };
  for (const Damage& d : damages) {
    CAPTURE(d.from);
    CAPTURE(d.to);
    const std::string got = network_sentence(replaced(kNetwork, d.from, d.to));
    CAPTURE(got);
    CHECK(contains(got, "mfs.network"));
    CHECK(contains(got, d.expected));
  }
  CHECK(contains(network_sentence("[]"), "mfs.network is not a JSON object"));
  CHECK(contains(network_sentence(""), "mfs.network is not JSON"));
}

TEST_CASE("mfs.network: every field is required") {
  for (const char* name :
       {"variant", "blocks", "stride_in", "stem_pool", "fusion", "se_reduction", "psp_bins", "align_corners", "upsample"}) {
    CAPTURE(name);
    CHECK(contains(network_sentence(replaced(kNetwork, name, "note")), std::string("field ") + name + " is missing"));
  }
}

TEST_CASE("mfs.network: a VGG network needs three fields, and none that is wrong") {
  const std::string vgg = R"({"variant":"vgg-baseline","align_corners":false,"upsample":"probability"})";
  const NetworkDescription n = parse_network(vgg);
  CHECK(n.variant == Variant::kVggBaseline);
  CHECK(n.fusion == Fusion::kNone);
  CHECK_FALSE(n.align_corners);
  CHECK(n.upsample == UpsampleDomain::kProbability);
  for (const char* name : {"variant", "align_corners", "upsample"}) {
    CAPTURE(name);
    CHECK(contains(network_sentence(replaced(vgg, name, "note")), std::string("field ") + name + " is missing"));
  }
  CHECK_NOTHROW(parse_network(replaced(replaced(kNetwork, "resnet-multi", "vgg-early"), "own_init", "none")));
  const Damage damages[] = {{"{", R"({"blocks":[1,2],)", "field blocks is not an array of 4 values"},
                            {"{", R"({"fusion":"layer1",)", "field fusion is 'layer1', which contradicts the variant vgg-"},
                            {"{", R"({"stem_pool":"4x4",)", "field stem_pool is '4x4'"},
                            {"{", R"({"psp_bins":[0],)", "field psp_bins holds something else"},
                            {"{", R"({"classes":2,)", "unknown field 'classes'"}};
  for (const Damage& d : damages) {
    CAPTURE(d.to);
    CHECK(contains(network_sentence(replaced(vgg, d.from, d.to)), d.expected));
  }
}

TEST_CASE("every field of mfs.preprocess arrives") {
  const PreprocessDescription p = parse_preprocess(
      R"({"size":[72,1024],"mean":[0,1,-2],"std":[1,0.5,2],"guidance":{"kind":"disk","radius":5.5,"scale":255}})", {});
  CHECK(p.height == 72);
  CHECK(p.width == 1024);
  CHECK(p.mean == std::array{0.f, 1.f, -2.f});
  CHECK(p.std == std::array{1.f, 0.5f, 2.f});
  CHECK(p.guidance.kind == Guidance::Kind::kDisk);
  CHECK(p.guidance.parameter == 5.5f);
  CHECK(p.guidance.scale == 255.f);
}

TEST_CASE("guidance kinds take their own parameter") {
  const std::string old = R"({"kind":"gaussian","sigma":10,"scale":1})";
  const auto kind_of = [&](const std::string& guidance, Variant variant = Variant::kResnetMulti) {
    NetworkDescription network;
    network.variant = variant;
    return parse_preprocess(replaced(kPreprocess, old, guidance), network).guidance;
  };
  CHECK(kind_of(R"({"kind":"gaussian","sigma":7})").parameter == 7.f);
  CHECK(kind_of(R"({"kind":"gaussian","sigma":7})").scale == 1.f);
  CHECK(kind_of(R"({"kind":"gaussian_fwhm","sigma":7,"scale":255})").kind == Guidance::Kind::kGaussianFwhm);
  CHECK(kind_of(R"({"kind":"euclidean","clip":100})").parameter == 100.f);
  CHECK(kind_of(R"({"kind":"none"})", Variant::kResnetBaseline).kind == Guidance::Kind::kNone);

  const auto complaint = [&](const std::string& guidance, Variant variant = Variant::kResnetMulti) {
    return preprocess_sentence(replaced(kPreprocess, old, guidance), variant);
  };
  CHECK(contains(complaint(R"({"kind":"disk","sigma":5})"), "guidance: field radius is missing"));
  CHECK(contains(complaint(R"({"kind":"disk","radius":5,"sigma":5})"), "guidance: unknown field 'sigma'"));
  CHECK(contains(complaint(R"({"kind":"gaussian","sigma":0})"), "guidance: field sigma is not positive"));
  CHECK(contains(complaint(R"({"kind":"gaussian","sigma":"10"})"), "guidance: field sigma is not a number"));
  CHECK(contains(complaint(R"({"kind":"gaussian","sigma":1e39})"), "guidance: field sigma is not a number in the range"));
  CHECK(contains(complaint(R"({"kind":"gaussian","sigma":1e999})"), "is not JSON"));
  CHECK(contains(complaint(R"({"kind":"gaussian","sigma":1e-60})"), "guidance: field sigma is not positive"));
  CHECK(contains(complaint(R"({"kind":"gaussian","sigma":1,"scale":-1})"), "guidance: field scale is not positive"));
  CHECK(contains(complaint(R"({"kind":"cross"})"), "field kind is 'cross', not one of gaussian, gaussian_fwhm"));
  CHECK(contains(complaint(R"({"sigma":10})"), "guidance: field kind is missing"));
  CHECK(contains(complaint("7"), "guidance is not a JSON object"));
  CHECK(contains(complaint(R"({"kind":"none","scale":1})", Variant::kResnetBaseline), "guidance: unknown field 'scale'"));
  CHECK(contains(complaint(R"({"kind":"none"})"), "field guidance contradicts the variant resnet-multi"));
  CHECK(contains(complaint(old, Variant::kResnetBaseline), "field guidance contradicts the variant resnet-baseline"));
  CHECK(kind_of(R"({"kind":"none"})", Variant::kVggBaseline).kind == Guidance::Kind::kNone);
  CHECK(kind_of(old, Variant::kVggEarly).kind == Guidance::Kind::kGaussian);
  CHECK(contains(complaint(R"({"kind":"none"})", Variant::kVggEarly), "field guidance contradicts the variant vgg-early"));
  CHECK(contains(complaint(old, Variant::kVggBaseline), "field guidance contradicts the variant vgg-baseline"));
}

TEST_CASE("sizes of VGG networks are multiples of 32") {
  const std::string odd = replaced(kPreprocess, "[512,256]", "[512,264]");
  CHECK(preprocess_sentence(odd) == "");
  CHECK(preprocess_sentence(kPreprocess, Variant::kVggEarly) == "");
  CHECK(contains(preprocess_sentence(odd, Variant::kVggEarly), "field size holds a side that is no multiple of 32"));
}

TEST_CASE("mfs.preprocess: every damage has its sentence") {
  const Damage damages[] = {
      {"[512,256]", "[512,260]", "field size holds a side that is no multiple of 8"},
      {"[512,256]", "[512,56]", "field size holds something else than integers of 64 to"},
      {"[512,256]", "[512.0,256]", "field size holds something else"},
      {"[512,256]", "512", "field size is not an array of 2 values"},
      {"[0.485,0.456,0.406]", "[0.485,0.456]", "field mean is not an array of 3 values"},
      {"[0.485,0.456,0.406]", "[0.485,0.456,null]", "field mean holds something else than numbers"},
      {"0.229", "0", "field std holds a value that is not positive"},
      {"0.229", "-1", "field std holds a value that is not positive"},
      {"\"size\"", "\"extent\"", "field size is missing"},
      {"\"mean\"", "\"average\"", "field mean is missing"},
      {"\"std\"", "\"deviation\"", "field std is missing"},
      {"\"guidance\"", "\"guide\"", "field guidance is missing"},
      {"{", R"({"crop":1,)", "unknown field 'crop'"},
  };
  for (const Damage& d : damages) {
    CAPTURE(d.from);
    CAPTURE(d.to);
    const std::string got = preprocess_sentence(replaced(kPreprocess, d.from, d.to));
    CAPTURE(got);
    CHECK(contains(got, "mfs.preprocess"));
    CHECK(contains(got, d.expected));
  }
}

}  // namespace
}  // namespace mfs::core
