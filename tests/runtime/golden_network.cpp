#include "tests/runtime/golden_network.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "weights/weights_file.h"

namespace mfs::core::test {
namespace {

std::uint64_t fnv1a(const std::string& text) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return value;
}

// [-1, 1): as numbers() in make_goldens.py.
double number(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + index * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<double>(z >> 40) / (1 << 23) - 1;
}

// As weight() in make_goldens.py.
std::vector<float> weight(const std::string& name, const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1, fan_in = 1;
  for (std::size_t i = 0; i < dims.size(); ++i) count *= dims[i], fan_in *= i ? dims[i] : 1;
  double scale = 0.25, offset = 0;
  if (dims.size() > 1) {
    scale = std::sqrt(6.0 / static_cast<double>(fan_in));
  } else if (name.ends_with("running_var")) {
    offset = 1;
  } else if (name.ends_with(".weight")) {
    offset = name.find(".bn3.") == std::string::npos ? 1 : 0.25;
    scale = 0.25 * offset;
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  const std::uint64_t seed = fnv1a(name);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(offset + scale * number(seed, i));
  return values;
}

}  // namespace

GoldenNetwork::GoldenNetwork(const std::string& name) {
  const auto golden =
      nlohmann::json::parse(std::ifstream(std::string(MFS_TEST_DATA) + "/../runtime/goldens/" + name + ".json"));
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const auto& entry : golden["tensors"]) {
    const auto dims = entry[1].get<std::vector<std::int64_t>>();
    values.push_back(weight(entry[0], dims));
    tensors.push_back({entry[0], DType::kF32, dims, nullptr});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].data = values[i].data();
  weights_path =
      std::filesystem::temp_directory_path() / ("mfs_golden_" + std::to_string(getpid()) + "_" + name + ".safetensors");
  write_weights(
      weights_path, tensors,
      {{"mfs.format", "1"}, {"mfs.network", golden["network"].dump()}, {"mfs.preprocess", golden["preprocess"].dump()}});

  height = golden["photo"][0], width = golden["photo"][1];
  pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  const std::uint64_t seed = fnv1a("photo");
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>((number(seed, i) + 1) * 128);
  for (const auto& tap : golden["taps"]) taps.push_back({tap[0], tap[1]});
  logit = golden["logit"].get<std::vector<float>>();
  probability_diagonal = golden["probability_diagonal"].get<std::vector<float>>();
}

GoldenNetwork::~GoldenNetwork() { std::filesystem::remove(weights_path); }

}  // namespace mfs::core::test
