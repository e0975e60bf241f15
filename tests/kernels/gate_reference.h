// Squeeze-and-excitation in double precision, with what f32 may lose on the way.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/checks.h"
#include "tests/support/tensor.h"

namespace mfs::core::test {

struct GateWeights {
  GateWeights(int channels, int hidden)
      : squeeze(random_values({1, 1, hidden, channels}, DType::kF32, 0, 5)),
        squeeze_bias(random_values({1, 1, 1, hidden}, DType::kF32, 0, 6)),
        excite(random_values({1, 1, channels, hidden}, DType::kF32, 0, 7)),
        excite_bias(random_values({1, 1, 1, channels}, DType::kF32, 0, 8)) {}
  Tensor squeeze, squeeze_bias, excite, excite_bias;
};

struct Value {
  double value = 0, bound = 0;
};

// Row `row` of weights times x, plus a bias: as many products and additions as terms, over what x is already wrong by.
inline Value product(const Tensor& weights, int row, const Tensor* bias, const std::vector<Value>& x) {
  Value v{bias ? bias->at(0, 0, 0, row) : 0, 0};
  double magnitude = std::abs(v.value), inherited = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = weights.at(0, 0, row, static_cast<int>(i));
    v.value += w * x[i].value;
    magnitude += std::abs(w) * (std::abs(x[i].value) + x[i].bound), inherited += std::abs(w) * x[i].bound;
  }
  v.bound = inherited + (static_cast<double>(x.size()) + 2) * kEps * magnitude;
  return v;
}

inline std::vector<Value> gates(const Tensor& src, int n, const GateWeights& w, int hidden, bool biases) {
  const Shape& s = src.shape();
  const double area = static_cast<double>(s.h) * s.w;
  std::vector<Value> means(static_cast<std::size_t>(s.c)), inner, outer;
  for (int c = 0; c < s.c; ++c) {
    Value& mean = means[static_cast<std::size_t>(c)];
    for (int y = 0; y < s.h; ++y)
      for (int x = 0; x < s.w; ++x) {
        const double v = src.at(n, y, x, c);
        mean.value += v / area, mean.bound += std::abs(v) / area;
      }
    mean.bound *= (area + 2) * kEps;  // any order of `area` additions, the factor 1 / area, the multiplication
  }
  for (int i = 0; i < hidden; ++i) {
    inner.push_back(product(w.squeeze, i, biases ? &w.squeeze_bias : nullptr, means));
    inner.back().value = std::max(inner.back().value, 0.0);  // moves apart no two numbers
  }
  for (int c = 0; c < s.c; ++c) {
    const Value v = product(w.excite, c, biases ? &w.excite_bias : nullptr, inner);
    // The sigmoid's slope is at most 1/4; exp, addition and division add 4 roundings.
    outer.push_back({1 / (1 + std::exp(-v.value)), v.bound / 4 + 4 * kEps});
  }
  return outer;
}

// An element of what a gate makes of `v`: a product, the residual's sum.
inline Expected gated(double v, const Value& gate, double residual, bool relu, DType dtype) {
  const double sum = v * gate.value + residual, value = relu ? std::max(sum, 0.0) : sum;
  const double inherited = std::abs(v) * gate.bound;
  const double arithmetic = inherited + kEps * (2 * (std::abs(v * gate.value) + inherited) + std::abs(residual));
  return {value, arithmetic + rounding(dtype, std::abs(value) + arithmetic)};
}

}  // namespace mfs::core::test
