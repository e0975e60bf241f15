// The engine against stored results of PyTorch: the whole network, without Python.
#include <doctest/doctest.h>

#include <cmath>

#include "runtime/model.h"
#include "runtime/session.h"
#include "tests/runtime/golden_network.h"

using namespace mfs::core;

namespace {

std::vector<float> probability_of(const test::GoldenNetwork& golden, const char* precision) {
  const auto model = std::make_shared<const Model>(
      golden.weights_path, ModelOptions{.device = "cpu", .precision = precision, .threads = 2, .log = {}});
  Session session(model, {});
  std::vector<float> probability(golden.pixels.size() / 3);
  const Status s = session.run({.image = golden.photo(),
                                .taps = golden.taps,
                                .probability = probability.data(),
                                .probability_stride = std::int64_t{golden.width} * 4});
  CAPTURE(s.message());
  REQUIRE(s);
  return probability;
}

double worst_on_diagonal(const test::GoldenNetwork& golden, const std::vector<float>& probability) {
  double worst = 0;
  for (std::size_t i = 0; i < golden.probability_diagonal.size(); ++i) {
    const double d =
        std::abs(double{probability[i * static_cast<std::size_t>(golden.width) + i]} - golden.probability_diagonal[i]);
    if (!std::isnan(worst) && !(d <= worst)) worst = d;
  }
  return worst;
}

}  // namespace

// 1e-4 is the project's limit for f32 against PyTorch; the goldens themselves are rounded to 1e-6.
TEST_CASE("f32 probabilities are PyTorch's") {
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    const test::GoldenNetwork golden(name);
    CHECK(worst_on_diagonal(golden, probability_of(golden, "f32")) <= 1e-4);
  }
}

// bf16 keeps 8 bits: 20 roundings of relative size 2^-9 on logits of up to 3 move a probability by a few hundredths at most.
TEST_CASE("bf16 probabilities are near PyTorch's f32") {
  if (!has_conv(Cpu{}, DType::kBF16)) {
    MESSAGE("skipped: bf16, which this processor has no instructions for");
    return;
  }
  for (const std::string& name : test::kGoldenNames) {
    CAPTURE(name);
    const test::GoldenNetwork golden(name);
    CHECK(worst_on_diagonal(golden, probability_of(golden, "bf16")) <= 0.04);
  }
}
