#include "tests/cuda/step_reference.h"

#include <cmath>

#include "kernels/narrow_weights.h"
#include "kernels/resize_bilinear.h"
#include "runtime/fold.h"
#include "tests/support/fp8_loss.h"

namespace mfs::core::test {
namespace {

constexpr double kTensorCore = 0x1p-22;  // unit of a sum on tensor cores, which truncate

// Weights as the kernels store them.
std::vector<float> stored_weights(std::vector<float> values, DType dtype) {
  for (float& v : values) v = static_cast<float>(stored(dtype, v));
  return values;
}

struct Folded {
  std::vector<float> weights, bias;
};

Folded folded(const WeightsFile& file, const Filters& f, int taps, DType dtype) {
  Folded result{std::vector<float>(static_cast<std::size_t>(std::int64_t{f.out} * f.in * taps)),
                std::vector<float>(static_cast<std::size_t>(f.out))};
  fold(file, f, Cpu{1}, result.weights.data(), result.bias.data());
  result.weights = stored_weights(std::move(result.weights), dtype);
  return result;
}

// value += the convolution; bound += the sum of its terms' magnitudes. First output channel `first` of dst.
void add_conv(const Map& src, const Folded& f, const Window& w, int first, Map& value, Map& magnitude) {
  const int outputs = static_cast<int>(f.bias.size()), taps = w.kernel * w.kernel, inputs = src.shape.c;
  std::vector<double> by_tap(static_cast<std::size_t>(taps) * static_cast<std::size_t>(inputs));
  for (int o = 0; o < outputs; ++o) {
    for (int i = 0; i < inputs; ++i)
      for (int t = 0; t < taps; ++t)
        by_tap[static_cast<std::size_t>(t * inputs + i)] =
            f.weights[static_cast<std::size_t>((std::int64_t{o} * inputs + i) * taps + t)];
    for (int n = 0; n < value.shape.n; ++n)
      for (int y = 0; y < value.shape.h; ++y)
        for (int x = 0; x < value.shape.w; ++x) {
          double sum = f.bias[static_cast<std::size_t>(o)], terms = std::abs(sum);
          for (int t = 0; t < taps; ++t) {
            const int sy = y * w.stride - w.pad + t / w.kernel * w.dilation,
                      sx = x * w.stride - w.pad + t % w.kernel * w.dilation;
            if (sy < 0 || sy >= src.shape.h || sx < 0 || sx >= src.shape.w) continue;
            const double* pixel = &src.values[src.index(n, sy, sx, 0)];
            const double* filter = &by_tap[static_cast<std::size_t>(t * inputs)];
            for (int i = 0; i < inputs; ++i) sum += pixel[i] * filter[i], terms += std::abs(pixel[i] * filter[i]);
          }
          value.at(n, y, x, first + o) += sum, magnitude.at(n, y, x, first + o) += terms;
        }
  }
}

template <typename Body>
void each(const Shape& s, const Body& body) {
  for (int n = 0; n < s.n; ++n)
    for (int y = 0; y < s.h; ++y)
      for (int x = 0; x < s.w; ++x)
        for (int c = 0; c < s.c; ++c) body(n, y, x, c);
}

struct Interpolated {
  double value, magnitude;
};

Interpolated interpolate(const Map& m, int n, int y, int x, int c, const Shape& size, bool align_corners) {
  const Lerp v = lerp_at(y, m.shape.h, size.h, align_corners), h = lerp_at(x, m.shape.w, size.w, align_corners);
  Interpolated r{};
  for (const auto& [row, wy] : {std::pair{v.lo, 1.0 - v.t}, std::pair{v.hi, double{v.t}}})
    for (const auto& [column, wx] : {std::pair{h.lo, 1.0 - h.t}, std::pair{h.hi, double{h.t}}}) {
      const double term = wy * wx * m.at(n, row, column, c);
      r.value += term, r.magnitude += std::abs(term);
    }
  return r;
}

double relu_if(bool relu, double v) { return relu ? std::max(v, 0.0) : v; }

// A value and its bound as a narrow type keeps them: reciprocal, product, rounding.
void to_narrow(DType type, double& value, double& bound, double scale) {
  const double largest = largest_of_narrow(type);
  value = std::clamp(value / scale, type == DType::kU8 ? 0.0 : -largest, largest);
  bound = bound / scale + 2 * kEps * (std::abs(value) + largest);
  bound += rounding(type, std::abs(value) + bound);
}

// The weights of both sources, in units of their scales, rounded; returns what a sum's unit is worth, for every output.
std::vector<float> round_both(DType type, Folded& f, float scale, Folded& joined, float joined_scale) {
  const std::size_t outputs = f.bias.size(), own = f.weights.size() / outputs, others = joined.weights.size() / outputs;
  std::vector<float> rows;
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < own; ++i) rows.push_back(f.weights[o * own + i] * scale);
    for (std::size_t i = 0; i < others; ++i) rows.push_back(joined.weights[o * others + i] * joined_scale);
  }
  std::vector<float> units(outputs), rounded;
  const auto round = [&]<typename Rounded>(std::vector<Rounded> to) {
    to.resize(rows.size());
    round_weights(rows.data(), static_cast<int>(outputs), static_cast<std::int64_t>(own + others), to.data(), units.data());
    for (const Rounded& w : to) rounded.push_back(static_cast<float>(w));
  };
  if (type == DType::kU8) {
    round(std::vector<std::int8_t>());
  } else {
    round(std::vector<Float8E4m3>());
  }
  for (std::size_t o = 0; o < outputs; ++o) {
    const float* const row = &rounded[o * (own + others)];
    std::copy_n(row, own, &f.weights[o * own]);
    std::copy_n(row + own, others, joined.weights.begin() + static_cast<std::ptrdiff_t>(o * others));
  }
  return units;
}

}  // namespace

ExpectedMap StepReference::blank(const Place& p) const {
  const std::vector<double> zeros(static_cast<std::size_t>(p.shape.elements()));
  return {p, {p.shape, zeros}, {p.shape, zeros}};
}

std::vector<ExpectedMap> StepReference::expect(const ConvStep& s) const {
  Place all = s.dst;  // every filter's outputs
  all.first_channel = 0, all.shape = network_.buffers[static_cast<std::size_t>(s.dst.buffer)].shape;
  if (is_narrow(dtype(s.src))) return expect_narrow(s, all);
  ExpectedMap e = blank(all);
  int first = 0;
  double terms = 2;
  const Map src = read_(s.src);
  for (const Filters& f : s.filters) {
    add_conv(src, folded(file_, f, s.window.kernel * s.window.kernel, dtype(s.src)), s.window, first, e.value, e.bound);
    first += f.out;
    terms = std::max(terms, 2.0 + double{static_cast<double>(f.in)} * s.window.kernel * s.window.kernel);
  }
  if (s.joined) {
    add_conv(read_(s.joined), folded(file_, s.joined_filters, 1, dtype(s.src)), {.stride = s.joined_stride}, 0, e.value,
             e.bound);
    terms += s.joined_filters.in;
  }
  const Map residual = s.residual ? read_(s.residual) : Map{};
  each(all.shape, [&](int n, int y, int x, int c) {
    double& v = e.value.at(n, y, x, c);
    double& b = e.bound.at(n, y, x, c);
    if (s.residual) v += residual.at(n, y, x, c), b += std::abs(residual.at(n, y, x, c));
    v = relu_if(s.relu, v);
    b *= terms * kTensorCore;
  });
  return {e};
}

// Sums of int8 are exact. Then the sum as a float, scale and bias as they are kept, product and sum, the residual's sum.
std::vector<ExpectedMap> StepReference::expect_narrow(const ConvStep& s, const Place& dst) const {
  constexpr double kRoundings = 8;
  ExpectedMap e = blank(dst);
  const Map src = read_(s.src), residual = s.residual ? read_(s.residual) : Map{};
  std::vector<float> units, biases;
  double products = 0;  // of a sum
  for (const Filters& f : s.filters) {
    Folded own = folded(file_, f, s.window.kernel * s.window.kernel, DType::kF32),
           joined{{}, std::vector<float>(own.bias.size())};
    if (s.joined) joined = folded(file_, s.joined_filters, 1, DType::kF32);
    const int first = static_cast<int>(units.size());
    for (const float unit : round_both(dtype(s.src), own, scale(s.src), joined, s.joined ? scale(s.joined) : 0))
      units.push_back(unit);
    for (std::size_t o = 0; o < own.bias.size(); ++o)
      biases.push_back(own.bias[o] + joined.bias[o]), own.bias[o] = joined.bias[o] = 0;
    products = static_cast<double>((own.weights.size() + joined.weights.size()) / own.bias.size());
    add_conv(src, own, s.window, first, e.value, e.bound);
    if (s.joined) add_conv(read_(s.joined), joined, {.stride = s.joined_stride}, first, e.value, e.bound);
  }
  each(dst.shape, [&](int n, int y, int x, int c) {
    double &v = e.value.at(n, y, x, c), &b = e.bound.at(n, y, x, c);
    const double product = v * units[static_cast<std::size_t>(c)], bias = biases[static_cast<std::size_t>(c)];
    const double other = s.residual ? residual.at(n, y, x, c) : 0;
    const double lost = dtype(s.src) == DType::kU8 ? 0 : fp8_loss(products) * b * units[static_cast<std::size_t>(c)];
    v = relu_if(s.relu, product + bias + other);
    b = lost + kRoundings * kEps * (std::abs(product) + std::abs(bias) + std::abs(other));
    if (is_narrow(dtype(dst))) to_narrow(dtype(dst), v, b, scale(dst));
  });
  if (!s.copy) return {e};
  ExpectedMap copy = e;
  copy.place = s.copy;
  each(dst.shape, [&](int n, int y, int x, int c) {
    double &v = copy.value.at(n, y, x, c), &b = copy.bound.at(n, y, x, c);
    b += rounding(dtype(dst), std::abs(v) + b);
    to_narrow(dtype(s.copy), v, b, scale(s.copy));
  });
  return {e, copy};
}

std::vector<ExpectedMap> StepReference::expect(const QuantiseStep& s) const {
  ExpectedMap e = blank(s.dst);
  const Map src = read_(s.src);
  each(s.dst.shape, [&](int n, int y, int x, int c) {
    e.value.at(n, y, x, c) = src.at(n, y, x, c);
    to_narrow(dtype(s.dst), e.value.at(n, y, x, c), e.bound.at(n, y, x, c), scale(s.dst));
  });
  return {e};
}

std::vector<ExpectedMap> StepReference::expect(const ConvGroupStep& s) const {
  std::vector<ExpectedMap> all;
  for (const ConvStep& conv : s.convs)
    for (ExpectedMap& e : expect(conv)) all.push_back(std::move(e));
  return all;
}

// Rounding is monotonic: the greatest of the rounded values is the greatest value, rounded.
std::vector<ExpectedMap> StepReference::expect(const StemStep& s) const {
  const ExpectedMap conv = expect(s.conv).front();
  std::vector<ExpectedMap> all;
  int first = 0;
  for (std::size_t i = 0; i < s.pooled.size(); ++i) {
    ExpectedMap& e = all.emplace_back(blank(s.pooled[i]));
    const int before = s.pools[i] == 3 ? 1 : 0;
    each(s.pooled[i].shape, [&](int n, int y, int x, int c) {
      for (int v = std::max(0, 2 * y - before); v < 2 * y + 2; ++v)
        for (int u = std::max(0, 2 * x - before); u < 2 * x + 2; ++u) {
          double &value = e.value.at(n, y, x, c), &bound = e.bound.at(n, y, x, c);
          value = std::max(value, conv.value.at(n, v, u, first + c));
          bound = std::max(bound, conv.bound.at(n, v, u, first + c));
        }
    });
    first += s.pooled[i].shape.c;
  }
  return all;
}

std::vector<ExpectedMap> StepReference::expect(const MaxPoolStep& s) const {
  ExpectedMap e = blank(s.dst);
  const Map src = read_(s.src);
  each(s.dst.shape, [&](int n, int y, int x, int c) {
    double best = -HUGE_VAL;
    for (int ky = 0; ky < s.window.kernel; ++ky)
      for (int kx = 0; kx < s.window.kernel; ++kx) {
        const int sy = y * s.window.stride - s.window.pad + ky, sx = x * s.window.stride - s.window.pad + kx;
        if (sy >= 0 && sy < src.shape.h && sx >= 0 && sx < src.shape.w) best = std::max(best, src.at(n, sy, sx, c));
      }
    e.value.at(n, y, x, c) = best;
  });
  return {e};
}

namespace {

// Numbers of channels with what each may be wrong by.
struct Channels {
  std::vector<double> value, bound;
};

// weights times x plus bias, in f32: the roundings of as many products and additions, on top of what x is wrong by.
Channels linear(const std::vector<float>& weights, const std::vector<float>& bias, int outputs, const Channels& x) {
  Channels y{std::vector<double>(static_cast<std::size_t>(outputs)), std::vector<double>(static_cast<std::size_t>(outputs))};
  const std::size_t inputs = x.value.size();
  for (std::size_t o = 0; o < y.value.size(); ++o) {
    double sum = bias.empty() ? 0 : bias[o], magnitude = std::abs(sum), inherited = 0;
    for (std::size_t i = 0; i < inputs; ++i) {
      const double w = weights[o * inputs + i];
      sum += w * x.value[i];
      magnitude += std::abs(w) * (std::abs(x.value[i]) + x.bound[i]), inherited += std::abs(w) * x.bound[i];
    }
    y.value[o] = sum, y.bound[o] = inherited + (static_cast<double>(inputs) + 2) * kEps * magnitude;
  }
  return y;
}

Channels means(const Map& src, const Map& bound, int n) {
  const auto channels = static_cast<std::size_t>(src.shape.c);
  Channels m{std::vector<double>(channels), std::vector<double>(channels)};
  const double pixels = static_cast<double>(src.shape.h) * src.shape.w;
  for (int y = 0; y < src.shape.h; ++y)
    for (int x = 0; x < src.shape.w; ++x)
      for (std::size_t c = 0; c < channels; ++c) {
        const double v = src.at(n, y, x, static_cast<int>(c));
        const double inherited = bound.at(n, y, x, static_cast<int>(c));
        m.value[c] += v / pixels;
        m.bound[c] += (inherited + (pixels + 2) * kEps * (std::abs(v) + inherited)) / pixels;
      }
  return m;
}

}  // namespace

std::vector<ExpectedMap> StepReference::expect(const SqueezeExciteStep& s) const {
  ExpectedMap src = blank(s.src);
  src.value = read_(s.src);
  return {gated(s, src)};
}

// What the convolution would have stored is rounded, and its sums are of rounded values.
std::vector<ExpectedMap> StepReference::expect(const ConvGateStep& s) const {
  ExpectedMap src = expect(s.conv).front();
  each(src.value.shape, [&](int n, int y, int x, int c) {
    double& b = src.bound.at(n, y, x, c);
    b += rounding(dtype(s.conv.dst), std::abs(src.value.at(n, y, x, c)) + b);
  });
  return {gated(s.gate, src)};
}

ExpectedMap StepReference::gated(const SqueezeExciteStep& s, const ExpectedMap& source) const {
  ExpectedMap e = blank(s.dst);
  const Map &src = source.value, residual = s.residual ? read_(s.residual) : Map{};
  std::vector<Channels> gates;
  for (int n = 0; n < src.shape.n; ++n) {
    Channels hidden = linear(read_all(file_, s.squeeze + ".weight"), read_all(file_, s.squeeze + ".bias"), s.hidden,
                             means(src, source.bound, n));
    for (double& v : hidden.value) v = std::max(v, 0.0);
    gates.push_back(linear(read_all(file_, s.excite + ".weight"), read_all(file_, s.excite + ".bias"), src.shape.c, hidden));
    for (double& v : gates.back().value) v = 1 / (1 + std::exp(-v));
    for (double& b : gates.back().bound) b = b / 4 + 4 * kEps;  // the sigmoid's slope; exp, addition, division
  }
  each(s.dst.shape, [&](int n, int y, int x, int c) {
    const Channels& gate = gates[static_cast<std::size_t>(n)];
    const double v = src.at(n, y, x, c), other = s.residual ? residual.at(n, y, x, c) : 0;
    const double product = v * gate.value[static_cast<std::size_t>(c)];
    const double wrong = source.bound.at(n, y, x, c);
    const double inherited =
        (std::abs(v) + wrong) * gate.bound[static_cast<std::size_t>(c)] + wrong * gate.value[static_cast<std::size_t>(c)];
    e.value.at(n, y, x, c) = relu_if(s.relu, product + other);
    e.bound.at(n, y, x, c) = inherited + 2 * kEps * (std::abs(product) + inherited + std::abs(other));
  });
  return e;
}

std::vector<ExpectedMap> StepReference::expect(const PyramidPoolStep& s) const {
  std::vector<ExpectedMap> all;
  const Map src = read_(s.src);
  for (const Place& grid : s.grids) {
    ExpectedMap e = blank(grid);
    const int bins = grid.shape.h;
    each(grid.shape, [&](int n, int y, int x, int c) {
      const int y0 = y * src.shape.h / bins, y1 = ((y + 1) * src.shape.h + bins - 1) / bins;
      const int x0 = x * src.shape.w / bins, x1 = ((x + 1) * src.shape.w + bins - 1) / bins;
      const double count = static_cast<double>(y1 - y0) * (x1 - x0);
      double magnitude = 0;
      for (int sy = y0; sy < y1; ++sy)
        for (int sx = x0; sx < x1; ++sx)
          e.value.at(n, y, x, c) += src.at(n, sy, sx, c) / count, magnitude += std::abs(src.at(n, sy, sx, c)) / count;
      e.bound.at(n, y, x, c) = (count + 2) * kEps * magnitude;
    });
    all.push_back(std::move(e));
  }
  return all;
}

std::vector<ExpectedMap> StepReference::expect(const PyramidHeadStep& s) const {
  ExpectedMap e = blank(s.dst);
  const Map features = read_(s.features);
  std::vector<Map> priors;
  for (const Place& p : s.priors) priors.push_back(read_(p));
  const std::vector<float> weights = read_all(file_, s.final_conv + ".weight"), bias = read_all(file_, s.final_conv + ".bias");
  each(s.dst.shape, [&](int n, int y, int x, int) {
    double logit = bias.empty() ? 0 : bias[0], magnitude = std::abs(logit);
    for (int c = 0; c < features.shape.c; ++c) {
      double sum = features.at(n, y, x, c), terms = std::abs(sum);
      for (const Map& prior : priors) {
        const Interpolated p = interpolate(prior, n, y, x, c, features.shape, s.align_corners);
        sum += p.value, terms += p.magnitude;
      }
      logit += std::max(sum, 0.0) * weights[static_cast<std::size_t>(c)];
      magnitude += terms * std::abs(weights[static_cast<std::size_t>(c)]);
    }
    e.value.at(n, y, x, 0) = logit;
    e.bound.at(n, y, x, 0) = (features.shape.c + 16) * kEps * magnitude;
  });
  return {e};
}

// A part of the logit for every so many channels. The priors are interpolated along rows, then between nodes, with roundings of
// their largest values (tests/kernels/conv_head_test.cpp).
std::vector<ExpectedMap> StepReference::expect(const ConvHeadStep& s) const {
  const ExpectedMap conv = expect(s.conv).front();
  ExpectedMap e = blank(s.head.dst);
  std::vector<Map> priors;
  for (const Place& p : s.head.priors) priors.push_back(read_(p));
  std::vector<double> largest(static_cast<std::size_t>(conv.value.shape.c));
  for (const Map& prior : priors) {
    std::vector<double> of_prior(largest.size());
    each(prior.shape, [&](int n, int y, int x, int c) {
      double& v = of_prior[static_cast<std::size_t>(c)];
      v = std::max(v, std::abs(prior.at(n, y, x, c)));
    });
    for (std::size_t c = 0; c < largest.size(); ++c) largest[c] += of_prior[c];
  }
  const std::vector<float> weights = read_all(file_, s.head.final_conv + ".weight"),
                           bias = read_all(file_, s.head.final_conv + ".bias");
  const int width = conv.value.shape.c / s.head.dst.shape.c;
  each(s.head.dst.shape, [&](int n, int y, int x, int part) {
    double logit = part > 0 || bias.empty() ? 0 : bias[0], magnitude = std::abs(logit), inherited = 0;
    for (int c = part * width; c < (part + 1) * width; ++c) {
      double sum = conv.value.at(n, y, x, c), bound = conv.bound.at(n, y, x, c);
      for (const Map& prior : priors) sum += interpolate(prior, n, y, x, c, conv.value.shape, s.head.align_corners).value;
      bound += (24 + static_cast<double>(priors.size())) * kEps * largest[static_cast<std::size_t>(c)] + kEps * std::abs(sum);
      const double weight = weights[static_cast<std::size_t>(c)];
      logit += std::max(sum, 0.0) * weight;
      magnitude += std::abs(weight) * (std::max(sum, 0.0) + bound), inherited += std::abs(weight) * bound;
    }
    e.value.at(n, y, x, part) = logit;
    e.bound.at(n, y, x, part) = inherited + (width + 4) * kEps * magnitude;
  });
  return {e};
}

std::vector<ExpectedMap> StepReference::expect(const ResizeStep& s) const {
  ExpectedMap e = blank(s.dst);
  const Map src = read_(s.src);
  each(s.dst.shape, [&](int n, int y, int x, int c) {
    const Interpolated p = interpolate(src, n, y, x, c, s.dst.shape, s.align_corners);
    e.value.at(n, y, x, c) = p.value, e.bound.at(n, y, x, c) = 6 * kEps * p.magnitude;
  });
  return {e};
}

std::vector<ExpectedMap> StepReference::expect(const TransposedConvStep& s) const {
  ExpectedMap e = blank(s.dst);
  const Map src = read_(s.src), residual = s.residual ? read_(s.residual) : Map{};
  const std::vector<float> weights = read_all(file_, s.tensors + ".weight");  // (cin, cout, kernel, kernel)
  const Window& w = s.window;
  each(s.dst.shape, [&](int n, int y, int x, int c) {
    double sum = s.residual ? residual.at(n, y, x, c) : 0, magnitude = std::abs(sum), terms = 2;
    for (int ky = 0; ky < w.kernel; ++ky)
      for (int kx = 0; kx < w.kernel; ++kx) {
        const int up = y + w.pad - ky, left = x + w.pad - kx;
        if (up < 0 || left < 0 || up % w.stride != 0 || left % w.stride != 0) continue;
        const int sy = up / w.stride, sx = left / w.stride;
        if (sy >= src.shape.h || sx >= src.shape.w) continue;
        for (int i = 0; i < src.shape.c; ++i) {
          const std::int64_t filter = std::int64_t{i} * s.dst.shape.c + c;
          const double term =
              src.at(n, sy, sx, i) * weights[static_cast<std::size_t>((filter * w.kernel + ky) * w.kernel + kx)];
          sum += term, magnitude += std::abs(term), terms += 1;
        }
      }
    e.value.at(n, y, x, c) = sum, e.bound.at(n, y, x, c) = terms * kEps * magnitude;
  });
  return {e};
}

}  // namespace mfs::core::test
