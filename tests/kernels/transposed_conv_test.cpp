#include "kernels/transposed_conv.h"

#include <limits>

#include "tests/kernels/pool_cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

// The definition: every pixel of src adds to the window it owns in dst. Also the sum of all magnitudes and how many terms.
struct Scattered {
  std::vector<double> value, magnitude, terms;
};

Shape size_of_dst(const cases::TransposedConvCase& k) {
  return {k.src.n, transposed_conv_size(k.src.h, k.kernel, k.stride, k.pad),
          transposed_conv_size(k.src.w, k.kernel, k.stride, k.pad), k.cout};
}

std::size_t index_in(const Shape& s, int n, int y, int x, int c) {
  return static_cast<std::size_t>(((std::int64_t{n} * s.h + y) * s.w + x) * s.c + c);
}

// weights: (kernel, kernel, cin, cout).
Scattered scatter(const cases::TransposedConvCase& k, const Tensor& src, const Tensor& weights, const Tensor* residual) {
  const Shape out = size_of_dst(k);
  const auto count = static_cast<std::size_t>(out.elements());
  Scattered s{std::vector<double>(count), std::vector<double>(count), std::vector<double>(count)};
  const auto add = [&](int n, int y, int x, int c, double term) {
    const std::size_t at = index_in(out, n, y, x, c);
    s.value[at] += term, s.magnitude[at] += std::abs(term), s.terms[at] += 1;
  };
  for (int n = 0; n < k.src.n; ++n)
    for (int y = 0; y < k.src.h; ++y)
      for (int x = 0; x < k.src.w; ++x)
        for (int ky = 0; ky < k.kernel; ++ky)
          for (int kx = 0; kx < k.kernel; ++kx) {
            const int dy = y * k.stride - k.pad + ky, dx = x * k.stride - k.pad + kx;
            if (dy < 0 || dy >= out.h || dx < 0 || dx >= out.w) continue;
            for (int i = 0; i < k.src.c; ++i)
              for (int o = 0; o < k.cout; ++o) add(n, dy, dx, o, src.at(n, y, x, i) * weights.at(ky, kx, i, o));
          }
  if (residual)
    for (int n = 0; n < out.n; ++n)
      for (int y = 0; y < out.h; ++y)
        for (int x = 0; x < out.w; ++x)
          for (int c = 0; c < out.c; ++c) add(n, y, x, c, residual->at(n, y, x, c));
  return s;
}

struct Problem {
  Problem(const cases::TransposedConvCase& k, DType dtype, bool integers)
      : src(values(integers, k.src, dtype, k.src.c + k.gap, 31)),
        residual(values(integers, size_of_dst(k), dtype, k.cout + 2 * k.gap, 32)),
        weights(values(integers, {k.kernel, k.kernel, k.src.c, k.cout}, DType::kF32, 0, 33)) {}

  static Tensor values(bool integers, Shape shape, DType dtype, int pitch, std::uint64_t seed) {
    return integers ? small_integers(shape, dtype, pitch, seed) : random_values(shape, dtype, pitch, seed);
  }

  Tensor src, residual, weights;
};

// Whether the residual is absent, a tensor of its own, or dst itself.
enum class Skip { kNone, kSeparate, kInPlace };

void check_case(const cases::TransposedConvCase& k, const Backend& backend, DType dtype, DType dst_dtype, bool integers,
                Skip skip) {
  CAPTURE(dtype);
  CAPTURE(dst_dtype);
  CAPTURE(integers);
  CAPTURE(static_cast<int>(skip));
  CAPTURE(backend);
  Problem p(k, dtype, integers);
  const Shape out = size_of_dst(k);
  Tensor dst(out, dst_dtype, k.cout + 2 * k.gap);
  if (skip == Skip::kInPlace)
    for (int n = 0; n < out.n; ++n)
      for (int y = 0; y < out.h; ++y)
        for (int x = 0; x < out.w; ++x)
          for (int c = 0; c < out.c; ++c) dst.set(n, y, x, c, p.residual.at(n, y, x, c));
  View residual;
  if (skip != Skip::kNone) residual = skip == Skip::kInPlace ? dst.view() : p.residual.view();
  const TransposedConv op{p.src.view(), p.weights.floats(), k.kernel, k.stride, k.pad, residual, dst.view()};
  if (!backend.takes(cost(op))) return;
  MFS_REQUIRE_OK(run(backend, op));
  const Scattered expected = scatter(k, p.src, p.weights, skip == Skip::kNone ? nullptr : &p.residual);
  MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) {
                    const std::size_t at = index_in(out, n, y, x, c);
                    const double value = expected.value[at];
                    if (integers) return Expected{stored(dst_dtype, value)};
                    // Every product and every addition is rounded once.
                    const double bound = (expected.terms[at] + 1) * kEps * expected.magnitude[at];
                    return Expected{value, bound + rounding(dst_dtype, std::abs(value) + bound)};
                  }));
}

TEST_CASE("transposed_conv matches the double-precision reference, integers exactly") {
  for (const auto& k : cases::kTransposedConv) SUBCASE(k.name) {
      for (const DType dtype : kDTypes)
        for (const Backend& backend : backends())
          for (const bool integers : {true, false}) {
            check_case(k, backend, dtype, dtype, integers, Skip::kNone);
            check_case(k, backend, dtype, DType::kF32, integers, Skip::kSeparate);
            check_case(k, backend, dtype, dtype, integers, Skip::kInPlace);
          }
    }
}

TEST_CASE("transposed_conv passes a NaN on, and to its window only") {
  Tensor src = random_values({1, 4, 5, 1}, kDTypes[0], 0, 34), weights = random_values({4, 4, 1, 1}, DType::kF32, 0, 35);
  Tensor dst({1, 8, 10, 1}, kDTypes[0]);
  src.set(0, 2, 3, 0, std::numeric_limits<double>::quiet_NaN());
  MFS_REQUIRE_OK(run(backends().front(), TransposedConv{src.view(), weights.floats(), 4, 2, 1, {}, dst.view()}));
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 10; ++x) CHECK(std::isnan(dst.at(0, y, x, 0)) == (y >= 3 && y <= 6 && x >= 5 && x <= 8));
}

TEST_CASE("transposed_conv refuses what does not fit") {
  const Tensor src({1, 2, 3, 5}, DType::kF32), half({1, 4, 6, 2}, DType::kBF16), single({1, 1, 1, 5}, DType::kF32);
  Tensor dst({1, 4, 6, 2}, DType::kF32), wrong({1, 4, 5, 2}, DType::kF32), weights({4, 4, 5, 2}, DType::kF32);
  const float* w = weights.floats();
  CHECK(check(TransposedConv{src.view(), w, 4, 2, 1, {}, dst.view()}));
  CHECK(check(TransposedConv{src.view(), w, 4, 2, 1, dst.view(), dst.view()}));
  MFS_CHECK_REFUSED((TransposedConv{{}, w, 4, 2, 1, {}, dst.view()}), "src has no data");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), nullptr, 4, 2, 1, {}, dst.view()}), "no weights");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), w + 1, 4, 2, 1, {}, dst.view()}), "not 16-byte aligned");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), w, 4, 2, 1, {}, wrong.view()}), "dst is 1x4x5x2, expected 1x4x6x2");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), w, 4, 2, 1, half.view(), dst.view()}), "residual is bf16");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), w, 4, 2, 1, wrong.view(), dst.view()}), "residual is 1x4x5x2");
  MFS_CHECK_REFUSED((TransposedConv{half.view(), w, 4, 2, 1, {}, MutView(dst.view().data, DType::kF16, {1, 8, 12, 2})}),
                    "src is bf16 but dst is f16");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), w, 4, 0, 1, {}, dst.view()}), "kernel and stride");
  MFS_CHECK_REFUSED((TransposedConv{src.view(), w, 4, 2, -1, {}, dst.view()}), "padding must not be negative");
  MFS_CHECK_REFUSED((TransposedConv{single.view(), w, 4, 2, 2, {}, dst.view()}), "padding leaves nothing");
}

}  // namespace
}  // namespace mfs::core::test
