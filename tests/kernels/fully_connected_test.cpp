#include "kernels/fully_connected.h"

#include <algorithm>

#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  int n, k, m;
  bool bias;
};
constexpr Case kCases[] = {
    {"one number", 1, 1, 1, false}, {"odd sizes", 2, 37, 5, true},      {"se.fc1", 1, 256, 16, true},
    {"se.fc2", 1, 16, 256, false},  {"many vectors", 3, 100, 64, true}, {"large enough for threads", 1, 1000, 300, true},
};

double activate(double v, Activation a) {
  if (a == Activation::kRelu) return std::max(v, 0.0);
  return a == Activation::kSigmoid ? 1 / (1 + std::exp(-v)) : v;
}

TEST_CASE("fully_connected matches the double-precision reference") {
  for (const Case& k : kCases) SUBCASE(k.name) {
      const Tensor src = random_values({k.n, 1, 1, k.k}, DType::kF32, 0, 4);
      Tensor weights = random_values({1, 1, k.m, k.k}, DType::kF32, 0, 5),
             bias = random_values({1, 1, 1, k.m}, DType::kF32, 0, 6);
      for (const Activation activation : {Activation::kNone, Activation::kRelu, Activation::kSigmoid}) {
        for (const Backend& backend : backends()) {
          CAPTURE(static_cast<int>(activation));
          CAPTURE(backend);
          Tensor dst({k.n, 1, 1, k.m}, DType::kF32);
          const FullyConnected op{src.view(), weights.floats(), k.bias ? bias.floats() : nullptr, activation, dst.view()};
          if (!backend.takes(cost(op))) continue;
          MFS_REQUIRE_OK(run(backend, op));
          MFS_CHECK_CLOSE(dst, ([&](int n, int, int, int m) {
                            double sum = k.bias ? bias.at(0, 0, 0, m) : 0, magnitude = std::abs(sum);
                            for (int i = 0; i < k.k; ++i) {
                              const double product = src.at(n, 0, 0, i) * weights.at(0, 0, m, i);
                              sum += product, magnitude += std::abs(product);
                            }
                            const double value = activate(sum, activation);
                            // k products and additions and the bias; no activation is steeper than 1; exp, addition and
                            // division add 4 roundings.
                            return Expected{value, (k.k + 1) * kEps * magnitude + 4 * kEps};
                          }));
        }
      }
    }
}

TEST_CASE("fully_connected is exact on integers") {
  const Tensor src = small_integers({1, 1, 1, 53}, DType::kF32, 0, 7);
  Tensor weights = small_integers({1, 1, 9, 53}, DType::kF32, 0, 8), dst({1, 1, 1, 9}, DType::kF32);
  MFS_REQUIRE_OK(run(backends().front(), FullyConnected{src.view(), weights.floats(), nullptr, Activation::kNone, dst.view()}));
  MFS_CHECK_CLOSE(dst, ([&](int, int, int, int m) {
                    double sum = 0;
                    for (int i = 0; i < 53; ++i) sum += src.at(0, 0, 0, i) * weights.at(0, 0, m, i);
                    return Expected{sum};
                  }));
}

TEST_CASE("fully_connected refuses what does not fit") {
  const Tensor src({2, 1, 1, 3}, DType::kF32), map({2, 2, 1, 3}, DType::kF32), half({2, 1, 1, 3}, DType::kBF16);
  Tensor dst({2, 1, 1, 5}, DType::kF32), wrong({1, 1, 1, 5}, DType::kF32);
  const float weights[15] = {};
  CHECK(check(FullyConnected{src.view(), weights, nullptr, Activation::kNone, dst.view()}));
  MFS_CHECK_REFUSED((FullyConnected{src.view(), nullptr, nullptr, Activation::kNone, dst.view()}), "no weights");
  MFS_CHECK_REFUSED((FullyConnected{map.view(), weights, nullptr, Activation::kNone, dst.view()}), "src is 2x2x1x3");
  MFS_CHECK_REFUSED((FullyConnected{half.view(), weights, nullptr, Activation::kNone, dst.view()}), "src is bf16");
  MFS_CHECK_REFUSED((FullyConnected{src.view(), weights, nullptr, Activation::kNone, wrong.view()}), "expected 2x1x1x5");
}

}  // namespace
}  // namespace mfs::core::test
