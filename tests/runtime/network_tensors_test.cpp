// Tensors that are missing, misshapen or left over: one sentence each. With the VGG network, which is the easiest to write
// down.
#include <doctest/doctest.h>

#include <map>

#include "kernels/error.h"
#include "layers/network.h"
#include "tests/weights/test_file.h"

using namespace mfs::core;

namespace {

using Dims = std::vector<std::int64_t>;

std::map<std::string, Dims> vgg_tensors() {
  constexpr std::int64_t kWidth = 5, kFc = 7;
  std::map<std::string, Dims> t;
  const auto conv = [&](const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    t[name + ".weight"] = {out, in, kernel, kernel}, t[name + ".bias"] = {out};
  };
  for (const int layer : {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28})
    conv("features." + std::to_string(layer), kWidth, layer ? kWidth : 4, 3);
  conv("classifier.0", kFc, kWidth, 7);
  conv("classifier.3", kFc, kFc, 1);
  conv("score_fr", 1, kFc, 1);
  for (const char* name : {"score_pool4", "score_pool3"}) conv(name, 1, kWidth, 1);
  for (const char* name : {"upscore2.weight", "upscore_pool4.weight"}) t[name] = {1, 1, 4, 4};
  return t;
}

// What building the network from these tensors is answered with; empty when nothing is wrong.
std::string complaint(const std::map<std::string, Dims>& dims) {
  const std::vector<float> zeros(10000);
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, d] : dims) tensors.push_back({name, DType::kF32, d, zeros.data()});
  const test::ScratchFolder folder;
  write_weights(folder / "vgg.safetensors", tensors,
                {{"mfs.format", "1"},
                 {"mfs.network", R"({"variant":"vgg-early","align_corners":true,"upsample":"logit"})"},
                 {"mfs.preprocess", test::kPreprocess}});
  try {
    build_network(*WeightsFile::open(folder / "vgg.safetensors"), 64, 96);
  } catch (const Error& error) {
    CHECK(error.code() == Code::kBadWeights);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every tensor of a VGG network must be there, fit, and be of use") {
  const std::map<std::string, Dims> good = vgg_tensors();
  REQUIRE(complaint(good) == "");
  for (const auto& [name, dims] : good) {
    std::map<std::string, Dims> changed = good;
    changed.erase(name);
    CHECK(complaint(changed).ends_with("vgg.safetensors: tensor " + name + " is missing"));
    changed[name] = dims;
    changed[name].back() += 1;
    CAPTURE(name);
    CHECK(complaint(changed).find("tensor " + name + " has shape [") != std::string::npos);
  }
  std::map<std::string, Dims> two_classes = good;
  two_classes["score_fr.weight"][0] = two_classes["score_fr.bias"][0] = 2;
  CHECK(complaint(two_classes).ends_with("tensor score_fr.weight has shape [2, 7, 1, 1], the network needs [1, 7, 1, 1]"));
  for (const char* name : {"classifier.6.bias", "upscore2.bias", "features.1.running_mean", "conv1.weight"}) {
    std::map<std::string, Dims> more = good;
    more[name] = {1};
    CHECK(complaint(more).find("tensor " + std::string(name) + " does not belong to a vgg-early network") != std::string::npos);
  }
}
