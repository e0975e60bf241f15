// int8 convolutions: sums of integers are exact, so only the few roundings after them separate a result from the
// double-precision reference.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/conv.h"
#include "kernels/cuda/conv_family.h"
#include "kernels/error.h"
#include "kernels/int8_weights.h"
#include "tests/kernels/cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

#if MFS_TEST_CUDA
constexpr DType kWide = DType::kF16;
constexpr bool kCuda = true;
constexpr int kMost = 127;  // steps of a weight either side of zero, as kernels/conv.h says
const auto& kCases = cases::kConvHopperInt8;
#else
constexpr DType kWide = DType::kF32;
constexpr bool kCuda = false;
constexpr int kMost = 64;
const auto& kCases = cases::kConv;
#endif

// exact: powers of two as scales, every sum below 2^24: no rounding but that to u8. largest: the same, all products as large as
// they can be, which pairs of 16 bits must hold. real: any numbers.
enum class Values { kExact, kLargest, kReal };

enum class Output { kInWide, kInU8, kInBoth };

struct Problem {
  Conv conv;
  Values values;
  Tensor src, residual, joined;  // joined: of at least one channel, which is not used if nothing is joined
  std::vector<float> weights, joined_weights, bias;

  Problem(const cases::ConvCase& k, Values v, Output output)
      : conv(cases::problem(k, DType::kU8)),
        values(v),
        src(conv.src, DType::kU8, conv.src_pitch),
        residual(random_values(conv.dst, kWide, conv.residual_pitch, 33, 50)),
        joined(conv.joined.c > 0 ? conv.joined : Shape{}, DType::kU8, conv.joined_pitch) {
    const bool real = v == Values::kReal;
    conv.wide = kWide;
    conv.src_scale = real ? 0.0371f : 0.25f;
    if (conv.joined.c > 0) conv.joined_scale = real ? 0.0533f : 0.5f;
    fill(src, 30), fill(joined, 35);
    fill_weights(real ? 0.0213f : 0.125f);
    if (!real) {
      for (float& b : bias) b = std::floor(b * 32) / 32;  // one step of a product is 1/32
      each(conv.dst, [&](int n, int y, int x, int c) { residual.set(n, y, x, c, std::floor(residual.at(n, y, x, c))); });
    }
    const float scale = v == Values::kLargest ? 1024.0f : real ? 1.37f : 0.5f;
    if (output == Output::kInU8) conv.dst_scale = scale;
    if (output == Output::kInBoth) conv.copy_scale = scale;
  }

  template <typename Body>
  static void each(const Shape& s, const Body& body) {
    for (int n = 0; n < s.n; ++n)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x)
          for (int c = 0; c < s.c; ++c) body(n, y, x, c);
  }

 private:
  void fill(Tensor& t, std::uint64_t seed) const {
    std::uint64_t i = 0;
    each(t.shape(), [&](int n, int y, int x, int c) {
      t.set(n, y, x, c, values == Values::kLargest ? 255 : std::floor(uniform(seed, i++) * 256));
    });
  }
  // Each channel has a weight of the largest magnitude, so that the others are whole steps unless they are real. Those of
  // joined, whose steps are twice as large, stay below half of it.
  void fill_weights(float step) {
    const std::size_t row = static_cast<std::size_t>(conv.src.c) * conv.kernel * conv.kernel;
    weights.resize(row * static_cast<std::size_t>(conv.dst.c)), bias.resize(static_cast<std::size_t>(conv.dst.c));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double level = (2 * uniform(31, i) - 1) * kMost;
      const double whole = i % row == 0 ? kMost : std::round(level);
      weights[i] = step * static_cast<float>(values == Values::kLargest ? kMost : values == Values::kExact ? whole : level);
    }
    joined_weights.resize(static_cast<std::size_t>(conv.dst.c) * static_cast<std::size_t>(conv.joined.c));
    for (std::size_t i = 0; i < joined_weights.size(); ++i) {
      const double level = (uniform(36, i) - 0.5) * (kMost - 1);
      joined_weights[i] = step * static_cast<float>(values == Values::kReal ? level : std::round(level));
    }
    for (std::size_t o = 0; o < bias.size(); ++o) bias[o] = static_cast<float>((2 * uniform(32, o) - 1) * 20);
  }
};

// The value before it is stored, and what may be lost on the way there.
struct Result {
  double value, bound;
};

// Levels (cout, row) as the engine rounds them, `row` being src's filter and then joined's, and what a sum's unit is worth. On
// CUDA the sources' scales become part of the weights first.
struct Rounded {
  std::size_t row;
  std::vector<std::int8_t> levels;
  std::vector<double> units;
};
Rounded rounded(const Problem& p) {
  const Conv& c = p.conv;
  const auto outputs = static_cast<std::size_t>(c.dst.c), filter = p.weights.size() / outputs,
             joined = static_cast<std::size_t>(c.joined.c);
  Rounded r{filter + joined, {}, {}};
  std::vector<float> rows, scales(outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < filter; ++i) rows.push_back(p.weights[o * filter + i] * (kCuda ? c.src_scale : 1));
    for (std::size_t i = 0; i < joined; ++i) rows.push_back(p.joined_weights[o * joined + i] * c.joined_scale);
  }
  r.levels.resize(rows.size());
  round_weights(rows.data(), c.dst.c, static_cast<std::int64_t>(r.row), kMost, r.levels.data(), scales.data());
  for (const float s : scales) r.units.push_back(double{s} * (kCuda ? 1 : c.src_scale));
  return r;
}

const std::uint8_t* pixel_of(const Tensor& t, int n, int y, int x) {
  const View v = t.view();
  return static_cast<const std::uint8_t*>(v.data) + ((std::int64_t{n} * v.shape.h + y) * v.shape.w + x) * v.pitch;
}

// Six roundings at most: the sum as a float, scale and bias as they are kept, their product and sum, the residual's sum.
std::vector<Result> reference(const Problem& p) {
  const Conv& c = p.conv;
  const int area = c.kernel * c.kernel;
  const Rounded rounded = test::rounded(p);
  std::vector<Result> results;
  bool below_2_24 = true;
  Problem::each(c.dst, [&](int n, int y, int x, int o) {
    std::int64_t sum = 0;
    for (int tap = 0; tap < area; ++tap) {
      const int sy = y * c.stride - c.pad + tap / c.kernel * c.dilation,
                sx = x * c.stride - c.pad + tap % c.kernel * c.dilation;
      if (sy < 0 || sy >= c.src.h || sx < 0 || sx >= c.src.w) continue;
      const std::uint8_t* pixel = pixel_of(p.src, n, sy, sx);
      const std::int8_t* filter = &rounded.levels[static_cast<std::size_t>(o) * rounded.row + static_cast<std::size_t>(tap)];
      for (int i = 0; i < c.src.c; ++i) sum += std::int64_t{pixel[i]} * filter[std::ptrdiff_t{i} * area];
    }
    if (c.joined.c > 0) {
      const std::uint8_t* pixel = pixel_of(p.joined, n, y * c.joined_stride, x * c.joined_stride);
      const std::int8_t* filter = &rounded.levels[(static_cast<std::size_t>(o) + 1) * rounded.row] - c.joined.c;
      for (int i = 0; i < c.joined.c; ++i) sum += std::int64_t{pixel[i]} * filter[i];
    }
    const double product = static_cast<double>(sum) * rounded.units[static_cast<std::size_t>(o)];
    const double bias = p.bias[static_cast<std::size_t>(o)], residual = c.residual ? p.residual.at(n, y, x, o) : 0;
    Result r{product + bias + residual, 0};
    if (p.values == Values::kReal) r.bound = 6 * kEps * (std::abs(product) + std::abs(bias) + std::abs(residual));
    below_2_24 = below_2_24 && std::abs(sum) < 1 << 24;
    if (c.relu) r.value = std::max(r.value, 0.0);
    results.push_back(r);
  });
  REQUIRE(below_2_24);
  return results;
}

Expected in_steps(double value, double bound, double scale) {
  const double steps = std::clamp(value / scale, 0.0, 255.0);
  if (bound == 0) return {std::nearbyint(steps), 0};
  return {steps, 0.5 + bound / scale + 2 * kEps * steps + 255 * kEps};  // reciprocal, product; a half near 255
}

Expected expected(const Conv& c, const Result& r) {
  if (c.dst_scale == 0) {
    if (r.bound == 0) return {stored(kWide, r.value), 0};
    return {r.value, r.bound + (kWide == DType::kF32 ? 0 : rounding(kWide, std::abs(r.value) + r.bound))};
  }
  return in_steps(r.value, r.bound, c.dst_scale);
}

// A problem with what comes out.
struct Trial {
  Trial(const cases::ConvCase& k, Values values, Output output)
      : problem(k, values, output), in_place(k.residual == cases::Residual::kInPlace), results(reference(problem)) {}

  Problem problem;
  bool in_place;
  std::vector<Result> results;

  void run(const Backend& backend, const PreparedConv<Device>& conv) const;
  auto prepare_for(const Device& device) const {
    return prepare(device, problem.conv, problem.weights.data(), problem.bias.data(), problem.joined_weights.data());
  }
};

void Trial::run(const Backend& backend, const PreparedConv<Device>& conv) const {
  const Conv& p = problem.conv;
  const std::string& algorithm = conv.algorithm();
  CAPTURE(p.dst_scale);
  CAPTURE(p.copy_scale);
  CAPTURE(backend);
  CAPTURE(algorithm);
  const bool exact = problem.values != Values::kReal;
  Tensor dst(p.dst, dst_dtype(p), p.dst_pitch), copy(p.copy_scale > 0 ? p.dst : Shape{}, DType::kU8);
  if (in_place) Problem::each(p.dst, [&](int n, int y, int x, int c) { dst.set(n, y, x, c, problem.residual.at(n, y, x, c)); });
  const View residual = in_place ? View(dst.view()) : p.residual ? View(problem.residual.view()) : View();
  GuardedBytes scratch(conv.scratch_bytes());
  MFS_REQUIRE_OK(
      conv.run(backend.device, {problem.src.view(), residual, problem.joined.view(), dst.view(), scratch.data(), copy.view()}));
  MFS_REQUIRE_OK(finish(backend));
  std::size_t i = 0;
  MFS_CHECK_CLOSE(dst, [&](int, int, int, int) { return expected(p, results[i++]); });
  CHECK(scratch.canaries_intact());
  if (p.copy_scale == 0) return;
  MFS_CHECK_CLOSE(copy,
                  [&](int n, int y, int x, int c) { return in_steps(dst.at(n, y, x, c), exact ? 0 : kEps, p.copy_scale); });
}

void run_case(const cases::ConvCase& k, Values values, Output output) {
  const Trial trial(k, values, output);
  for (const Backend& backend : backends())
    if (backend.takes(cost(trial.problem.conv))) trial.run(backend, *trial.prepare_for(backend.device));
}

void run_list(Values values) {
  for (const auto& k : kCases) SUBCASE(k.name) {
      const Conv p = cases::problem(k, DType::kU8);
      if (cost(p).flops > 1000000000) continue;  // too slow for the reference, and like the others
      const std::int64_t terms = std::int64_t{p.kernel} * p.kernel * p.src.c + p.joined.c;
      const bool largest = values == Values::kLargest;
      if (largest && terms * 255 * kMost >= 1 << 24) continue;
      if (!largest || kWide == DType::kF32)
        run_case(k, values, kCuda ? Output::kInBoth : Output::kInWide);  // f16 does not hold them
      if (!p.residual) run_case(k, values, Output::kInU8);
    }
}

#if MFS_TEST_CUDA && MFS_HAVE_HOPPER
// With one SM, so that a cluster does one tile after the other.
TEST_CASE("every plan of the Hopper family is exact in int8") {
  Backend backend = backends().front();
  if (backend.device.capability != 90) return;
  backend.device.multiprocessors = 1;
  for (const auto& k : kCases) SUBCASE(k.name) {
      if (MFS_TEST_RACES && &k != &kCases.front()) continue;
      for (const Output output : {Output::kInBoth, Output::kInU8}) {
        if (output == Output::kInU8 && k.residual != cases::Residual::kNone) continue;
        const Trial trial(k, Values::kExact, output);
        const Problem& p = trial.problem;
        const auto parameters = [&](float* weights, float* joined, float* bias) {
          std::ranges::copy(p.weights, weights), std::ranges::copy(p.joined_weights, joined), std::ranges::copy(p.bias, bias);
        };
        PackCache packs;
        for (const HopperPlan& plan : hopper_plans(p.conv, 1))
          trial.run(backend, *prepare_hopper(p.conv, plan, parameters, "conv", packs));
      }
    }
}
#endif

TEST_CASE("int8 conv is exact where its scales are powers of two") { run_list(Values::kExact); }
TEST_CASE("int8 conv is exact on the largest numbers there are") { run_list(Values::kLargest); }
TEST_CASE("int8 conv matches the double-precision reference") { run_list(Values::kReal); }

TEST_CASE("weights are rounded to steps of their channel's largest") {
  std::vector<float> values(7 * 13);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(2 * uniform(34, i) - 1);
  std::fill_n(values.begin() + 13, 13, 0.0f);
  std::vector<std::int8_t> levels(values.size());
  std::vector<float> scales(7);
  for (const int largest : {64, 127}) {
    round_weights(values.data(), 7, 13, largest, levels.data(), scales.data());
    for (std::size_t r = 0; r < 7; ++r) {
      int peak = 0;
      for (std::size_t i = 13 * r; i < 13 * r + 13; ++i) {
        peak = std::max(peak, std::abs(levels[i]));
        // Half a step, and the rounding of scale and quotient.
        CHECK(std::abs(double{values[i]} - double{scales[r]} * levels[i]) <= scales[r] * (0.5 + 2 * largest * kEps));
      }
      CHECK(peak == (r == 1 ? 0 : largest));
      CHECK(scales[r] > 0);
    }
  }
}

TEST_CASE("weights near nothing are nothing") {
  for (const float tiny : {1e-44f, 1e-40f, 1e-37f, 1e-19f}) {
    CAPTURE(tiny);
    const float values[] = {tiny, -tiny, 0};
    std::int8_t levels[3] = {1, 1, 1};
    float scale = 0;
    round_weights(values, 1, 3, 64, levels, &scale);
    CHECK(scale == 1);
    for (const std::int8_t level : levels) CHECK(level == 0);
  }
}

TEST_CASE("int8 conv refuses what does not fit") {
  Conv good{{1, 8, 6, 5}, {1, 8, 6, 7}, 3, 1, 2, 2, DType::kU8};
  good.src_scale = 0.5f;
  CHECK(check(good));
  const auto with = [&](const auto& change) {
    Conv op = good;
    change(op);
    return op;
  };
  CHECK(check(with([](Conv& c) { c.dst_scale = 1; })));
  MFS_CHECK_REFUSED(with([](Conv& c) { c.src_scale = 0; }), "without a scale");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.src_scale = std::nanf(""); }), "without a scale");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dst_scale = -1; }), "scale of dst");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dst_scale = 1, c.residual = true; }), "wide type");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dst_scale = c.copy_scale = 1; }), "wide type");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.copy_scale = -1; }), "scale of the copy");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.wide = DType::kU8; }), "wide type");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.joined = {1, 8, 6, 3}; }), "joined is u8 without a scale");
  const std::vector<float> weights(7 * 5 * 9), bias(7);
  good.wide = kWide == DType::kF32 ? DType::kF16 : DType::kF32;
  CHECK_THROWS_AS(prepare(backends().front().device, good, weights.data(), bias.data()), Error);
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dtype = DType::kF32; }), "there is a scale");
}

}  // namespace
}  // namespace mfs::core::test
