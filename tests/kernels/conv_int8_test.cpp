// int8 convolutions on the CPU: sums of integers are exact, so only the few roundings after them separate a result from the
// double-precision reference.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/conv.h"
#include "kernels/int8_weights.h"
#include "tests/kernels/cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

constexpr int kMost = 64;  // steps of a weight either side of zero, as kernels/conv.h says

// exact: powers of two as scales, every sum below 2^24: no rounding but that to u8. largest: the same, all products as large as
// they can be, which pairs of 16 bits must hold. real: any numbers.
enum class Values { kExact, kLargest, kReal };

struct Problem {
  Conv conv;
  Values values;
  Tensor src, residual;
  std::vector<float> weights, bias;

  Problem(const cases::ConvCase& k, Values v, bool to_u8)
      : conv(cases::problem(k, DType::kU8)),
        values(v),
        src(conv.src, DType::kU8, conv.src_pitch),
        residual(random_values(conv.dst, DType::kF32, conv.residual_pitch, 33, 50)) {
    const bool real = v == Values::kReal;
    conv.src_scale = real ? 0.0371f : 0.25f;
    fill_src();
    fill_weights(real ? 0.0213f : 0.125f);
    if (!real) {
      for (float& b : bias) b = std::floor(b * 32) / 32;  // one step of a product is 1/32
      each(conv.dst, [&](int n, int y, int x, int c) { residual.set(n, y, x, c, std::floor(residual.at(n, y, x, c))); });
    }
    if (to_u8) conv.dst_scale = v == Values::kLargest ? 1024.0f : real ? 1.37f : 0.5f;
  }

  template <typename Body>
  static void each(const Shape& s, const Body& body) {
    for (int n = 0; n < s.n; ++n)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x)
          for (int c = 0; c < s.c; ++c) body(n, y, x, c);
  }

 private:
  void fill_src() {
    std::uint64_t i = 0;
    each(conv.src, [&](int n, int y, int x, int c) {
      src.set(n, y, x, c, values == Values::kLargest ? 255 : std::floor(uniform(30, i++) * 256));
    });
  }
  // Each channel has a weight of the largest magnitude, so that the others are whole steps unless they are real.
  void fill_weights(float step) {
    const std::size_t row = static_cast<std::size_t>(conv.src.c) * conv.kernel * conv.kernel;
    weights.resize(row * static_cast<std::size_t>(conv.dst.c)), bias.resize(static_cast<std::size_t>(conv.dst.c));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double level = (2 * uniform(31, i) - 1) * kMost;
      const double whole = i % row == 0 ? kMost : std::round(level);
      weights[i] = step * static_cast<float>(values == Values::kLargest ? kMost : values == Values::kExact ? whole : level);
    }
    for (std::size_t o = 0; o < bias.size(); ++o) bias[o] = static_cast<float>((2 * uniform(32, o) - 1) * 20);
  }
};

// The value before it is stored, and what may be lost on the way there.
struct Result {
  double value, bound;
};

// Six roundings at most: the sum as a float, scale and bias as they are kept, their product and sum, the residual's sum.
std::vector<Result> reference(const Problem& p) {
  const Conv& c = p.conv;
  const int area = c.kernel * c.kernel;
  std::vector<std::int8_t> levels(p.weights.size());
  std::vector<float> scales(p.bias.size());
  round_weights(p.weights.data(), c.dst.c, std::int64_t{c.src.c} * area, kMost, levels.data(), scales.data());
  std::vector<Result> results;
  bool below_2_24 = true;
  Problem::each(c.dst, [&](int n, int y, int x, int o) {
    std::int64_t sum = 0;
    for (int tap = 0; tap < area; ++tap) {
      const int sy = y * c.stride - c.pad + tap / c.kernel * c.dilation,
                sx = x * c.stride - c.pad + tap % c.kernel * c.dilation;
      if (sy < 0 || sy >= c.src.h || sx < 0 || sx >= c.src.w) continue;
      const auto* pixel = static_cast<const std::uint8_t*>(p.src.view().data) +
                          ((std::int64_t{n} * c.src.h + sy) * c.src.w + sx) * p.src.view().pitch;
      const std::int8_t* filter = &levels[static_cast<std::size_t>(std::int64_t{o} * c.src.c * area + tap)];
      for (int i = 0; i < c.src.c; ++i) sum += std::int64_t{pixel[i]} * filter[std::ptrdiff_t{i} * area];
    }
    const double product = static_cast<double>(sum) * c.src_scale * scales[static_cast<std::size_t>(o)];
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

Expected expected(const Conv& c, const Result& r) {
  if (c.dst_scale == 0) return {r.value, r.bound};
  const double steps = std::clamp(r.value / c.dst_scale, 0.0, 255.0);
  if (r.bound == 0) return {std::nearbyint(steps), 0};
  return {steps, 0.5 + r.bound / c.dst_scale};
}

void run_case(const cases::ConvCase& k, Values values, bool to_u8) {
  Problem p(k, values, to_u8);
  CAPTURE(to_u8);
  const std::vector<Result> results = reference(p);
  for (const Backend& backend : backends()) {
    CAPTURE(backend);
    const auto conv = prepare(backend.device, p.conv, p.weights.data(), p.bias.data());
    const std::string& algorithm = conv->algorithm();
    CAPTURE(algorithm);
    Tensor dst(p.conv.dst, dst_dtype(p.conv), p.conv.dst_pitch);
    const bool in_place = k.residual == cases::Residual::kInPlace;
    if (in_place)
      Problem::each(p.conv.dst, [&](int n, int y, int x, int c) { dst.set(n, y, x, c, p.residual.at(n, y, x, c)); });
    const View residual = in_place ? View(dst.view()) : p.conv.residual ? View(p.residual.view()) : View();
    GuardedBytes scratch(conv->scratch_bytes());
    MFS_REQUIRE_OK(conv->run(backend.device, {p.src.view(), residual, {}, dst.view(), scratch.data()}));
    std::size_t i = 0;
    MFS_CHECK_CLOSE(dst, [&](int, int, int, int) { return expected(p.conv, results[i++]); });
    CHECK(scratch.canaries_intact());
  }
}

void run_list(Values values) {
  for (const auto& k : cases::kConv) SUBCASE(k.name) {
      const Conv p = cases::problem(k, DType::kU8);
      if (cost(p).flops > 1000000000) continue;  // too slow for the reference, and like the others
      if (values == Values::kLargest && p.kernel * p.kernel * p.src.c > 1024) continue;
      run_case(k, values, false);
      if (!p.residual) run_case(k, values, true);
    }
}

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
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dst_scale = 1, c.residual = true; }), "f32 dst");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dtype = DType::kF32; }), "there is a scale");
}

}  // namespace
}  // namespace mfs::core::test
