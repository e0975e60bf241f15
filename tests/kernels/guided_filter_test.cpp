#include "kernels/guided_filter.h"

#include <algorithm>
#include <vector>

#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  int h, w, radius;
  float epsilon;
};
constexpr Case kCases[] = {
    {"one pixel", 1, 1, 1, 1e-3f},          {"one row", 1, 40, 4, 1e-3f},    {"one column", 23, 1, 8, 1e-3f},
    {"all in every window", 4, 5, 8, 0.1f}, {"odd sides", 13, 37, 1, 1e-5f}, {"three tiles across", 18, 47, 4, 3e-4f},
    {"wide windows", 35, 20, 8, 1e-2f},
};

// Guides that are hard in their own ways: colours that vary together, that do not vary, that step.
enum class Guide { kColours, kGrey, kFlat, kStep };
constexpr Guide kGuides[] = {Guide::kColours, Guide::kGrey, Guide::kFlat, Guide::kStep};

Tensor guide_of(Guide kind, int h, int w) {
  Tensor guide = random_values({1, h, w, 4}, DType::kF32, 0, 50, 0.5);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      if (kind == Guide::kGrey) guide.set(0, y, x, 1, guide.at(0, y, x, 0)), guide.set(0, y, x, 2, guide.at(0, y, x, 0));
      if (kind == Guide::kFlat)
        for (int c = 0; c < 3; ++c) guide.set(0, y, x, c, 0.3f);
      if (kind == Guide::kStep)
        for (int c = 0; c < 3; ++c) guide.set(0, y, x, c, x < w / 2 ? -0.5f : 0.5f);
      guide.set(0, y, x, 3, 1e30);  // ignored
    }
  return guide;
}

struct Range {
  int first, last;
  int count() const { return last - first + 1; }
};
Range window(int at, int radius, int size) { return {std::max(at - radius, 0), std::min(at + radius, size - 1)}; }

// Mostly an affine function of the colours, so that there is something to find.
Tensor value_of(const Tensor& guide) {
  const Shape& s = guide.shape();
  Tensor value({1, s.h, s.w, 1}, DType::kF32);
  for (int y = 0; y < s.h; ++y)
    for (int x = 0; x < s.w; ++x) {
      const double noise = uniform(51, static_cast<std::uint64_t>(y * s.w + x)) - 0.5;
      value.set(0, y, x, 0,
                0.5 + 0.5 * guide.at(0, y, x, 0) - 0.2 * guide.at(0, y, x, 1) + 0.3 * guide.at(0, y, x, 2) + 0.2 * noise);
    }
  return value;
}

// The affine function of one window, each coefficient with its bound, and what bounds its values.
struct Fit {
  double value[4], bound[4];
  double inverse[3][3], mean[3], mean_value, mean_bound, residual;
};

// The inverse of a symmetric positive definite matrix, by minors in double.
void invert(const double (&m)[3][3], double (&inverse)[3][3]) {
  double determinant = 0;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      const int r0 = (j + 1) % 3, r1 = (j + 2) % 3, c0 = (i + 1) % 3, c1 = (i + 2) % 3;
      inverse[i][j] = m[r0][c0] * m[r1][c1] - m[r0][c1] * m[r1][c0];
    }
  for (int i = 0; i < 3; ++i) determinant += m[0][i] * inverse[i][0];
  for (auto& row : inverse)
    for (double& v : row) v /= determinant;
}

double norm(const double* v, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += v[i] * v[i];
  return std::sqrt(sum);
}

Fit fit_at(const Tensor& guide, const Tensor& value, const GuidedFilter& op, int y, int x) {
  const Range rows = window(y, op.radius, guide.shape().h), columns = window(x, op.radius, guide.shape().w);
  const int n = rows.count() * columns.count();
  double mean[4] = {}, size[4] = {}, product[4][4] = {}, product_size[4][4] = {};
  for (int sy = rows.first; sy <= rows.last; ++sy)
    for (int sx = columns.first; sx <= columns.last; ++sx) {
      const double v[4] = {guide.at(0, sy, sx, 0), guide.at(0, sy, sx, 1), guide.at(0, sy, sx, 2), value.at(0, sy, sx, 0)};
      for (int i = 0; i < 4; ++i) {
        mean[i] += v[i] / n, size[i] += std::abs(v[i]) / n;
        for (int j = 0; j < 4; ++j) product[i][j] += v[i] * v[j] / n, product_size[i][j] += std::abs(v[i] * v[j]) / n;
      }
    }
  // A mean of n values: n - 1 sums, three roundings of the share and one of its product; one more for a product as summand. A
  // covariance is the difference of a mean product and a product of means, or the mean of products of differences from rounded
  // means: that is within twice the same.
  double m[3][3], covariance_bound = 0, cross[3], cross_bound[3];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) {
      const double exact = product[i][j] - mean[i] * mean[j];
      const double bound = 2 * kEps * ((n + 4) * product_size[i][j] + (2 * n + 7) * size[i] * size[j]);
      if (j == 3) {
        cross[i] = exact, cross_bound[i] = bound;
      } else {
        m[i][j] = exact + (i == j ? double{op.epsilon} : 0.0), covariance_bound += bound * bound;
      }
    }
  covariance_bound = std::sqrt(covariance_bound);
  double inverse[3][3];
  invert(m, inverse);
  Fit fit{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) fit.value[i] += inverse[i][j] * cross[j];
  fit.value[3] = mean[3];
  for (int i = 0; i < 3; ++i) fit.value[3] -= fit.value[i] * mean[i];
  // (M + dM)(a + da) = c + dc. The decomposition's own error is that of a matrix that differs by less than 20 roundings of its
  // norm; twice for what is of second order.
  const double amplification = norm(&inverse[0][0], 9), length = norm(fit.value, 3), matrix = norm(&m[0][0], 9);
  const double of_a =
      2 * amplification * (norm(cross_bound, 3) + (covariance_bound + 20 * kEps * matrix) * length) + 4 * kEps * length;
  for (int i = 0; i < 3; ++i) fit.bound[i] = of_a;
  fit.bound[3] = (n + 6) * kEps * size[3];
  for (int i = 0; i < 3; ++i) fit.bound[3] += of_a * size[i] + (n + 8) * kEps * std::abs(fit.value[i]) * size[i];
  std::copy_n(&inverse[0][0], 9, &fit.inverse[0][0]);
  std::copy_n(mean, 3, fit.mean);
  fit.mean_value = mean[3];
  fit.residual = 2 * (norm(cross_bound, 3) + (covariance_bound + 20 * kEps * matrix) * length);
  fit.mean_bound = (n + 6) * kEps * size[3];
  for (int i = 0; i < 3; ++i) fit.mean_bound += (n + 12) * kEps * std::abs(fit.value[i]) * (size[i] + 1);
  return fit;
}

std::vector<Fit> all_fits(const Tensor& guide, const Tensor& value, const GuidedFilter& op) {
  std::vector<Fit> fits;
  for (int y = 0; y < guide.shape().h; ++y)
    for (int x = 0; x < guide.shape().w; ++x) fits.push_back(fit_at(guide, value, op, y, x));
  return fits;
}

Expected averaged(const std::vector<Fit>& fits, const GuidedFilter& op, int y, int x, int c) {
  const int h = op.guide.shape.h, w = op.guide.shape.w;
  const Range rows = window(y, op.radius, h), columns = window(x, op.radius, w);
  const int n = rows.count() * columns.count();
  Expected e;
  double size = 0;
  for (int sy = rows.first; sy <= rows.last; ++sy)
    for (int sx = columns.first; sx <= columns.last; ++sx) {
      const Fit& f = fits[static_cast<std::size_t>(sy) * w + sx];
      e.value += f.value[c] / n, e.bound += f.bound[c] / n, size += (std::abs(f.value[c]) + f.bound[c]) / n;
    }
  e.bound += (n + 3) * kEps * size;
  return e;
}

// The filtered value at a pixel, a guide + b: where the guide does not vary, coefficients are free to differ that this does not
// depend on. Of every window, a (guide - mean) + mean value: the error of a that a pixel sees is (guide - mean) M^-1
// (residual).
Expected filtered_value(const std::vector<Fit>& fits, const GuidedFilter& op, const Tensor& guide, int y, int x) {
  const int h = op.guide.shape.h, w = op.guide.shape.w;
  const Range rows = window(y, op.radius, h), columns = window(x, op.radius, w);
  const int n = rows.count() * columns.count();
  Expected e;
  for (int sy = rows.first; sy <= rows.last; ++sy)
    for (int sx = columns.first; sx <= columns.last; ++sx) {
      const Fit& f = fits[static_cast<std::size_t>(sy) * w + sx];
      double seen[3] = {}, value = f.mean_value, size = std::abs(f.value[3]);
      for (int i = 0; i < 3; ++i) {
        value += f.value[i] * (guide.at(0, y, x, i) - f.mean[i]);
        size += std::abs(f.value[i]);
        for (int j = 0; j < 3; ++j) seen[i] += f.inverse[i][j] * (guide.at(0, y, x, j) - f.mean[j]);
      }
      e.value += value / n;
      e.bound += (norm(seen, 3) * f.residual + f.mean_bound + (n + 8) * kEps * size) / n;
    }
  return e;
}

Tensor filtered(const Backend& backend, GuidedFilter op) {
  Tensor dst({1, op.guide.shape.h, op.guide.shape.w, 4}, DType::kF32);
  op.dst = dst.view();
  GuardedBytes scratch(scratch_bytes(backend, op));
  op.scratch = scratch.span();
  MFS_REQUIRE_OK(run(backend, op));
  CHECK(scratch.canaries_intact());
  return dst;
}

TEST_CASE("guided_filter matches the double-precision reference") {
  for (const Case& k : kCases) SUBCASE(k.name) {
      for (const Guide kind : kGuides) {
        const Tensor guide = guide_of(kind, k.h, k.w);
        const Tensor value = value_of(guide);
        const GuidedFilter op{guide.view(), value.view(), k.radius, k.epsilon, {}, {}};
        const std::vector<Fit> fits = all_fits(guide, value, op);
        for (const Backend& backend : backends()) {
          CAPTURE(static_cast<int>(kind));
          CAPTURE(backend);
          if (!backend.takes(cost(op))) continue;
          const Tensor planes = filtered(backend, op);
          MFS_CHECK_CLOSE(planes, ([&](int, int y, int x, int c) { return averaged(fits, op, y, x, c); }));
          Diff d;
          for (int y = 0; y < k.h; ++y)
            for (int x = 0; x < k.w; ++x) {
              double at_pixel = planes.at(0, y, x, 3);
              for (int c = 0; c < 3; ++c) at_pixel += planes.at(0, y, x, c) * guide.at(0, y, x, c);
              d.add(at_pixel, filtered_value(fits, op, guide, y, x), 0, y, x, 0);
            }
          CHECK_MESSAGE(static_cast<bool>(d), d);
        }
      }
    }
}

TEST_CASE("values that are an affine function of the colours come back") {
  Tensor guide = guide_of(Guide::kColours, 20, 30), value({1, 20, 30, 1}, DType::kF32);
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 30; ++x)
      value.set(0, y, x, 0, 0.4 + 0.3 * guide.at(0, y, x, 0) - 0.2 * guide.at(0, y, x, 1) + 0.1 * guide.at(0, y, x, 2));
  const Tensor planes = filtered(backends().front(), {guide.view(), value.view(), 3, 1e-5f, {}, {}});
  // The covariances are about 1/12 of the identity: epsilon makes a difference of a few in a thousand.
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 30; ++x) {
      double filtered = planes.at(0, y, x, 3);
      for (int c = 0; c < 3; ++c) filtered += planes.at(0, y, x, c) * guide.at(0, y, x, c);
      CHECK(filtered == doctest::Approx(value.at(0, y, x, 0)).epsilon(0.003));
    }
}

TEST_CASE("guided_filter refuses what does not fit") {
  const Tensor guide({1, 4, 5, 4}, DType::kF32), value({1, 4, 5, 1}, DType::kF32), half({1, 4, 5, 4}, DType::kBF16);
  Tensor dst({1, 4, 5, 4}, DType::kF32), three({1, 4, 5, 3}, DType::kF32);
  const GuidedFilter good{guide.view(), value.view(), 2, 1e-3f, dst.view(), {}};
  CHECK(check(good));
  CHECK(run(backends().front(), good).message().find("bytes of scratch") != std::string::npos);
  const auto with = [&](const auto& change) {
    GuidedFilter op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([&](GuidedFilter& o) { o.guide = half.view(); }), "guide is bf16");
  MFS_CHECK_REFUSED(with([&](GuidedFilter& o) { o.guide = three.view(); }), "expected 1x4x5x4");
  MFS_CHECK_REFUSED(with([&](GuidedFilter& o) { o.value = guide.view(); }), "expected 1x4x5x1");
  MFS_CHECK_REFUSED(with([&](GuidedFilter& o) { o.dst = three.view(); }), "dst is 1x4x5x3");
  MFS_CHECK_REFUSED(with([](GuidedFilter& o) { o.radius = 0; }), "radius");
  MFS_CHECK_REFUSED(with([](GuidedFilter& o) { o.radius = 9; }), "radius");
  MFS_CHECK_REFUSED(with([](GuidedFilter& o) { o.epsilon = 1e-6f; }), "epsilon");
  MFS_CHECK_REFUSED(with([](GuidedFilter& o) { o.epsilon = std::nanf(""); }), "epsilon");
#if MFS_TEST_CUDA
  Tensor more({1, 5, 5, 4}, DType::kF32);
  GuardedBytes scratch(scratch_bytes(backends().front(), good));
  const GuidedFilter askew = with([&](GuidedFilter& o) { o.dst.data = more.floats() + 1, o.scratch = scratch.span(); });
  CHECK(run(backends().front(), askew).message().find("16-byte aligned") != std::string::npos);
#endif
}

}  // namespace
}  // namespace mfs::core::test
