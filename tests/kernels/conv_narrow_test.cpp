// int8 and fp8 convolutions against a double-precision reference on the same rounded numbers. Sums of integers are exact: only
// the few roundings after them separate a result from it. Those of fp8 are not, on tensor cores.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/conv.h"
#include "kernels/cuda/conv_family.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/error.h"
#include "kernels/float8.h"
#include "kernels/narrow_weights.h"
#include "tests/kernels/cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"
#include "tests/support/fp8_loss.h"
#include "tests/support/sums.h"

namespace mfs::core::test {
namespace {

#if MFS_TEST_CUDA
constexpr DType kWide = DType::kF16;
constexpr bool kCuda = true;
constexpr int kMostSteps = 127;  // of a weight either side of zero, as kernels/conv.h says
constexpr DType kTypes[] = {DType::kU8, DType::kE4m3};
const auto& kCases = cases::kConvHopperNarrow;
#else
constexpr DType kWide = DType::kF32;
constexpr bool kCuda = false;
constexpr int kMostSteps = 64;
constexpr DType kTypes[] = {DType::kU8};
const auto& kCases = cases::kConv;
#endif

// exact: powers of two as scales, sums that everybody computes exactly: no rounding but that of the result. largest (int8): the
// same, all products as large as they can be, which pairs of 16 bits must hold. real: any numbers.
enum class Values { kExact, kLargest, kReal };

enum class Output { kInWide, kInNarrow, kInBoth };

struct Problem {
  Conv conv;
  Values values;
  Tensor src, residual, joined;  // joined: of at least one channel, which is not used if nothing is joined
  std::vector<float> weights, joined_weights, bias;

  Problem(const cases::ConvCase& k, DType type, Values v, Output output)
      : conv(cases::problem(k, type)),
        values(v),
        src(conv.src, type, conv.src_pitch),
        residual(random_values(conv.dst, kWide, conv.residual_pitch, 33, 50)),
        joined(conv.joined.c > 0 ? conv.joined : Shape{}, type, conv.joined_pitch) {
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
    const float exact = int8() ? 32.0f : 0.5f;  // most results are inside the range
    const float scale = v == Values::kLargest ? 1024.0f : real ? (int8() ? 41.3f : 1.37f) : exact;
    if (output == Output::kInNarrow) conv.dst_scale = scale;
    if (output == Output::kInBoth) conv.copy_scale = scale;
  }

  bool int8() const { return conv.dtype == DType::kU8; }
  // Of a weight in the exact cases, in steps: for fp8 so that times 64, up to 448, they are e4m3 numbers.
  int most_steps() const { return int8() ? kMostSteps : 7; }
  int most_value() const { return int8() ? 255 : values == Values::kReal ? 448 : 7; }

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
      t.set(n, y, x, c, values == Values::kLargest ? 255 : std::floor(uniform(seed, i++) * (most_value() + 1)));
    });
  }
  // Each channel has a weight of the largest magnitude, so that the others are whole steps unless they are real. Those of
  // joined, whose steps are twice as large, stay below half of it.
  void fill_weights(float step) {
    const int most = most_steps();
    const std::size_t row = static_cast<std::size_t>(conv.src.c) * conv.kernel * conv.kernel;
    weights.resize(row * static_cast<std::size_t>(conv.dst.c)), bias.resize(static_cast<std::size_t>(conv.dst.c));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double level = (2 * uniform(31, i) - 1) * most;
      const double whole = i % row == 0 ? most : std::round(level);
      weights[i] = step * static_cast<float>(values == Values::kLargest ? most : values == Values::kExact ? whole : level);
    }
    joined_weights.resize(static_cast<std::size_t>(conv.dst.c) * static_cast<std::size_t>(conv.joined.c));
    for (std::size_t i = 0; i < joined_weights.size(); ++i) {
      const double level = (uniform(36, i) - 0.5) * (most - 1);
      joined_weights[i] = step * static_cast<float>(values == Values::kReal ? level : std::round(level));
    }
    for (std::size_t o = 0; o < bias.size(); ++o) bias[o] = static_cast<float>((2 * uniform(32, o) - 1) * 20);
  }
};

// The value before it is stored, and what may be lost on the way there.
struct Result {
  double value, bound;
};

// Weights (cout, row) as the engine rounds them, `row` being src's filter and then joined's, and what a sum's unit is worth. On
// CUDA the sources' scales become part of the weights first.
struct Rounded {
  std::size_t row;
  std::vector<double> weights, units;
};
Rounded rounded(const Problem& p) {
  const Conv& c = p.conv;
  const auto outputs = static_cast<std::size_t>(c.dst.c), filter = p.weights.size() / outputs,
             joined = static_cast<std::size_t>(c.joined.c);
  std::vector<float> rows, scales(outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < filter; ++i) rows.push_back(p.weights[o * filter + i] * (kCuda ? c.src_scale : 1));
    for (std::size_t i = 0; i < joined; ++i) rows.push_back(p.joined_weights[o * joined + i] * c.joined_scale);
  }
  Rounded r{filter + joined, {}, {}};
  const auto row = static_cast<std::int64_t>(r.row);
  if (p.int8()) {
    std::vector<std::int8_t> levels(rows.size());
    round_weights(rows.data(), c.dst.c, row, levels.data(), scales.data(), kMostSteps);
    r.weights.assign(levels.begin(), levels.end());
  } else {
    std::vector<Float8E4m3> numbers(rows.size());
    round_weights(rows.data(), c.dst.c, row, numbers.data(), scales.data());
    for (const Float8E4m3 w : numbers) r.weights.push_back(static_cast<float>(w));
  }
  for (const float s : scales) r.units.push_back(double{s} * (kCuda ? 1 : c.src_scale));
  return r;
}

// A tensor's numbers, pixel after pixel.
struct Dense {
  explicit Dense(const Tensor& t) : shape(t.shape()) {
    Problem::each(shape, [&](int n, int y, int x, int c) { values.push_back(t.at(n, y, x, c)); });
  }
  const double* pixel(int n, int y, int x) const {
    return &values[static_cast<std::size_t>(((std::int64_t{n} * shape.h + y) * shape.w + x) * shape.c)];
  }

  Shape shape;
  std::vector<double> values;
};

// The sum of one output, and of its terms' magnitudes.
struct Sum {
  double value = 0, magnitude = 0;

  // `step` from one channel's weight to the next.
  void add(const double* pixel, int channels, const double* weights, std::ptrdiff_t step) {
    for (int i = 0; i < channels; ++i) {
      const double term = pixel[i] * weights[i * step];
      value += term, magnitude += std::abs(term);
    }
  }
};

// Six roundings at most: the sum as a float, scale and bias as they are kept, their product and sum, the residual's sum.
std::vector<Result> reference(const Problem& p) {
  const Conv& c = p.conv;
  const int area = c.kernel * c.kernel;
  const Rounded rounded = test::rounded(p);
  const Dense src(p.src), joined(p.joined);
  const double most = p.int8() ? 0x1p24 : 64 * 0x1p13;  // exact below: tensor cores add fp8 in units of 64 here
  const double lost = p.int8() ? 0 : fp8_loss(static_cast<double>(rounded.row));
  std::vector<Result> results;
  bool exact = true;
  Problem::each(c.dst, [&](int n, int y, int x, int o) {
    const double* const filter = &rounded.weights[static_cast<std::size_t>(o) * rounded.row];
    Sum sum;
    for (int tap = 0; tap < area; ++tap) {
      const int sy = y * c.stride - c.pad + tap / c.kernel * c.dilation,
                sx = x * c.stride - c.pad + tap % c.kernel * c.dilation;
      if (sy >= 0 && sy < c.src.h && sx >= 0 && sx < c.src.w) sum.add(src.pixel(n, sy, sx), c.src.c, filter + tap, area);
    }
    if (c.joined.c > 0)
      sum.add(joined.pixel(n, y * c.joined_stride, x * c.joined_stride), c.joined.c, filter + rounded.row - c.joined.c, 1);
    const double unit = rounded.units[static_cast<std::size_t>(o)], product = sum.value * unit;
    const double bias = p.bias[static_cast<std::size_t>(o)], residual = c.residual ? p.residual.at(n, y, x, o) : 0;
    Result r{product + bias + residual, 0};
    if (p.values == Values::kReal)
      r.bound = lost * sum.magnitude * unit + 6 * kEps * (std::abs(product) + std::abs(bias) + std::abs(residual));
    exact = exact && std::abs(sum.value) < most;
    if (c.relu) r.value = std::max(r.value, 0.0);
    results.push_back(r);
  });
  if (p.int8() || p.values != Values::kReal) REQUIRE(exact);
  return results;
}

// As the narrow type keeps it: reciprocal, product, rounding.
Expected narrowed(DType type, double value, double bound, double scale) {
  const double largest = largest_of_narrow(type);
  const double units = std::clamp(value / scale, type == DType::kU8 ? 0 : -largest, largest);
  if (bound == 0) return {type == DType::kU8 ? std::nearbyint(units) : stored(type, units), 0};
  const double inexact = bound / scale + 2 * kEps * (std::abs(units) + largest);
  return {units, inexact + rounding(type, std::abs(units) + inexact)};
}

Expected expected(const Conv& c, const Result& r) {
  if (c.dst_scale > 0) return narrowed(c.dtype, r.value, r.bound, c.dst_scale);
  if (r.bound == 0) return {stored(kWide, r.value), 0};
  return {r.value, r.bound + (kWide == DType::kF32 ? 0 : rounding(kWide, std::abs(r.value) + r.bound))};
}

// A problem with what comes out.
struct Trial {
  Trial(const cases::ConvCase& k, DType type, Values values, Output output)
      : problem(k, type, values, output), in_place(k.residual == cases::Residual::kInPlace), results(reference(problem)) {}

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
  CAPTURE(p.dtype);
  CAPTURE(p.dst_scale);
  CAPTURE(p.copy_scale);
  CAPTURE(backend);
  CAPTURE(algorithm);
  const bool exact = problem.values != Values::kReal;
  Tensor dst(p.dst, dst_dtype(p), p.dst_pitch), copy(p.copy_scale > 0 ? p.dst : Shape{}, p.dtype);
  Tensor sums(sums_shape(backend.device, p), DType::kF32);
  if (in_place) Problem::each(p.dst, [&](int n, int y, int x, int c) { dst.set(n, y, x, c, problem.residual.at(n, y, x, c)); });
  const View residual = in_place ? View(dst.view()) : p.residual ? View(problem.residual.view()) : View();
  GuardedBytes scratch(conv.scratch_bytes());
  MFS_REQUIRE_OK(conv.run(backend.device, {problem.src.view(), residual, problem.joined.view(), dst.view(), scratch.data(),
                                           copy.view(), sums.view()}));
  MFS_REQUIRE_OK(finish(backend));
  if (p.sums) check_sums(sums, dst);
  std::size_t i = 0;
  MFS_CHECK_CLOSE(dst, [&](int, int, int, int) { return expected(p, results[i++]); });
  CHECK(scratch.canaries_intact());
  if (p.copy_scale == 0) return;
  MFS_CHECK_CLOSE(
      copy, [&](int n, int y, int x, int c) { return narrowed(p.dtype, dst.at(n, y, x, c), exact ? 0 : kEps, p.copy_scale); });
}

// Emulated, on every fourth schedule, as the other types of the Hopper family (conv_test.cpp).
void run_case(const cases::ConvCase& k, DType type, Values values, Output output) {
  const Trial trial(k, type, values, output);
  for (std::size_t i = 0; i < backends().size(); i += kCuda ? 4 : 1) {
    const Backend& backend = backends()[i];
    if (has_conv(backend.device, type) && backend.takes(cost(trial.problem.conv)))
      trial.run(backend, *trial.prepare_for(backend.device));
  }
}

void run_list(DType type, Values values) {
  for (const auto& k : kCases) SUBCASE(k.name) {
      const Conv p = cases::problem(k, type);
      if (cost(p).flops > 1000000000) continue;  // too slow for the reference, and like the others
      const std::int64_t terms = std::int64_t{p.kernel} * p.kernel * p.src.c + p.joined.c;
      const bool largest = values == Values::kLargest;
      if (largest && terms * 255 * kMostSteps >= 1 << 24) continue;
      if (!largest || kWide == DType::kF32)  // f16 does not hold them
        run_case(k, type, values, kCuda ? Output::kInBoth : Output::kInWide);
      if (!p.residual) run_case(k, type, values, Output::kInNarrow);
    }
}

#if MFS_TEST_CUDA && MFS_HAVE_HOPPER
// With one SM, so that a cluster does one tile after the other.
TEST_CASE("every plan of the Hopper family is exact in int8 and fp8") {
  Backend backend = backends().front();
  if (backend.device.capability != 90) return;
  backend.device.multiprocessors = 1;
  for (const auto& k : kCases) SUBCASE(k.name) {
      if (MFS_TEST_RACES && &k > &kCases[1]) continue;
      for (const DType type : kTypes)
        for (const Output output : {Output::kInBoth, Output::kInNarrow}) {
          if (output == Output::kInNarrow && k.residual != cases::Residual::kNone) continue;
          if (type == DType::kE4m3 && (output == Output::kInBoth) == (k.residual == cases::Residual::kNone)) continue;
          const Trial trial(k, type, Values::kExact, output);
          const Problem& p = trial.problem;
          const auto parameters = [&](float* weights, float* joined, float* bias) {
            std::ranges::copy(p.weights, weights), std::ranges::copy(p.joined_weights, joined), std::ranges::copy(p.bias, bias);
          };
          PackCache packs;
          CHECK(hopper_plans(tuned_problem(p.conv), undivided_room(1)).size() ==
                hopper_plans(p.conv, undivided_room(1)).size());
          CHECK(hopper_takes(tuned_problem(p.conv)));
          for (const HopperPlan& plan : hopper_plans(p.conv, undivided_room(1)))
            trial.run(backend, *prepare_hopper(p.conv, plan, parameters, "conv", packs));
        }
    }
}
#endif

#if MFS_TEST_CUDA && MFS_HAVE_HOPPER
TEST_CASE("sums over parts of images are of the wide result in int8 and fp8") {
  Backend backend = backends().front();
  if (backend.device.capability != 90) return;
  backend.device.multiprocessors = 1;
  for (const DType type : kTypes) {
    Trial trial(kCases[2], type, Values::kExact, Output::kInBoth);
    trial.problem.conv.sums = true;
    trial.run(backend, *trial.prepare_for(backend.device));
  }
}
#endif

TEST_CASE("narrow conv is exact where its scales are powers of two") {
  for (const DType type : kTypes) run_list(type, Values::kExact);
}
TEST_CASE("int8 conv is exact on the largest numbers there are") { run_list(DType::kU8, Values::kLargest); }
TEST_CASE("narrow conv matches the double-precision reference") {
  for (const DType type : kTypes) run_list(type, Values::kReal);
}

TEST_CASE("weights are rounded to steps of their channel's largest") {
  std::vector<float> values(7 * 13);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(2 * uniform(34, i) - 1);
  std::fill_n(values.begin() + 13, 13, 0.0f);
  std::vector<std::int8_t> levels(values.size());
  std::vector<float> scales(7);
  for (const int largest : {64, 127}) {
    round_weights(values.data(), 7, 13, levels.data(), scales.data(), largest);
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

TEST_CASE("weights in e4m3 are rounded in units of their channel's largest") {
  std::vector<float> values(3 * 17);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(2 * uniform(37, i) - 1);
  std::fill_n(values.begin() + 17, 17, 0.0f);
  std::vector<Float8E4m3> numbers(values.size());
  std::vector<float> scales(3);
  round_weights(values.data(), 3, 17, numbers.data(), scales.data());
  for (std::size_t r = 0; r < 3; ++r) {
    float peak = 0;
    for (std::size_t i = 17 * r; i < 17 * r + 17; ++i) {
      const double number = static_cast<float>(numbers[i]);
      peak = std::max(peak, std::abs(static_cast<float>(number)));
      CHECK(std::abs(values[i] / scales[r] - number) <= rounding(DType::kE4m3, number) + 448 * 2 * kEps);
    }
    CHECK(peak == (r == 1 ? 0 : Float8E4m3::kLargest));
  }
}

TEST_CASE("weights near nothing are nothing") {
  for (const float tiny : {1e-44f, 1e-40f, 1e-37f, 1e-19f}) {
    CAPTURE(tiny);
    const float values[] = {tiny, -tiny, 0};
    std::int8_t levels[3] = {1, 1, 1};
    float scale = 0;
    round_weights(values, 1, 3, levels, &scale, 64);
    CHECK(scale == 1);
    for (const std::int8_t level : levels) CHECK(level == 0);
  }
}

TEST_CASE("narrow conv refuses what does not fit") {
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
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dst_scale = 1, c.sums = true; }), "sums need a dst of the wide type");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.copy_scale = -1; }), "scale of the copy");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.wide = DType::kU8; }), "wide type");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.joined = {1, 8, 6, 3}; }), "joined is narrow without a scale");
  const auto prepared = [](Conv c) {
    const std::vector<float> weights(static_cast<std::size_t>(c.dst.c) * c.src.c * 9), bias(static_cast<std::size_t>(c.dst.c));
    prepare(backends().front().device, c, weights.data(), bias.data());
  };
  good.src.c = good.dst.c = 16, good.wide = kWide;
  if (has_conv(backends().front().device, DType::kU8)) CHECK_NOTHROW(prepared(good));
  CHECK_THROWS_AS(prepared(with([](Conv& c) { c.wide = kWide == DType::kF32 ? DType::kF16 : DType::kF32; })), Error);
  CHECK_THROWS_AS(prepared(with([](Conv& c) { c.dtype = DType::kE4m3, c.dst.c = 24, c.copy_scale = 1; })), Error);
#if MFS_TEST_CUDA
  CHECK(hopper_takes(good));
  CHECK_FALSE(hopper_takes(with([](Conv& c) { c.src.c = 8192; })));  // whose sums of 9 * 8192 products may leave 32 bits
#endif
}

}  // namespace
}  // namespace mfs::core::test
