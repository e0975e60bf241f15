#include "kernels/squeeze_excite.h"

#include <algorithm>

#include "tests/kernels/gate_reference.h"
#include "tests/kernels/pool_cases.h"
#include "tests/support/backends.h"

namespace mfs::core::test {
namespace {

enum class Place { kOwn, kSrc, kResidual };

struct Options {
  bool residual = true, relu = true, biases = true;
  Place place = Place::kOwn;
  int parts = 0;  // CUDA: of the sums that the operation gets; 0: it sums by itself
};

// Of every parts-th pixel.
Tensor sums_of(const Tensor& src, int parts) {
  const Shape& s = src.shape();
  Tensor sums(parts > 0 ? Shape{s.n, 1, parts, s.c} : Shape{}, DType::kF32);
  for (int n = 0; n < s.n && parts > 0; ++n)
    for (int c = 0; c < s.c; ++c) {
      std::vector<double> sum(static_cast<std::size_t>(parts));
      for (int i = 0; i < s.h * s.w; ++i) sum[static_cast<std::size_t>(i % parts)] += src.at(n, i / s.w, i % s.w, c);
      for (int part = 0; part < parts; ++part) sums.set(n, 0, part, c, sum[static_cast<std::size_t>(part)]);
    }
  return sums;
}

void check_case(const cases::MapCase& k, DType dtype, const Backend& backend, const Options& o) {
  CAPTURE(dtype);
  CAPTURE(backend);
  CAPTURE(o.residual);
  CAPTURE(o.relu);
  CAPTURE(static_cast<int>(o.place));
  const int hidden = std::max(k.src.c / 16, 3);
  GateWeights w(k.src.c, hidden);
  const Tensor in = random_values(k.src, dtype, k.src.c + k.gap, 10),
               add = random_values(k.src, dtype, k.src.c + 2 * k.gap, 11);
  Tensor src = random_values(k.src, dtype, k.src.c + k.gap, 10),
         shortcut = random_values(k.src, dtype, k.src.c + 2 * k.gap, 11);
  Tensor own(k.src, dtype, k.src.c + 3 * k.gap);
  Tensor& dst = o.place == Place::kSrc ? src : o.place == Place::kResidual ? shortcut : own;
  SqueezeExcite op{src.view(), o.residual ? View(shortcut.view()) : View()};
  op.hidden = hidden, op.squeeze = w.squeeze.floats(), op.excite = w.excite.floats();
  if (o.biases) op.squeeze_bias = w.squeeze_bias.floats(), op.excite_bias = w.excite_bias.floats();
  const Tensor sums = sums_of(in, o.parts);
  if (o.parts > 0) op.sums = sums.view();
  op.relu = o.relu, op.dst = dst.view();
  if (!backend.takes(cost(op))) return;
  GuardedBytes scratch(scratch_bytes(backend, op));
  op.scratch = scratch.span();
  MFS_REQUIRE_OK(run(backend, op));
  std::vector<std::vector<Value>> gate;
  for (int n = 0; n < k.src.n; ++n) gate.push_back(gates(in, n, w, hidden, o.biases));
  MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) {
                    const Value g = gate[static_cast<std::size_t>(n)][static_cast<std::size_t>(c)];
                    const double shift = o.residual ? add.at(n, y, x, c) : 0;
                    return gated(in.at(n, y, x, c), g, shift, o.relu, dtype);
                  }));
  CHECK(scratch.canaries_intact());
}

TEST_CASE("squeeze_excite matches the double-precision reference, in place too") {
  for (const auto& k : cases::kMaps) SUBCASE(k.name) {
      const bool small = k.src.elements() < 10000;
      for (const DType dtype : kDTypes) {
        for (const Backend& backend : backends()) {
          check_case(k, dtype, backend, {.place = Place::kResidual});
          if (!small) continue;
          check_case(k, dtype, backend, {.place = Place::kSrc});
          check_case(k, dtype, backend, {.relu = false, .biases = false});
          check_case(k, dtype, backend, {.residual = false});
          check_case(k, dtype, backend, {.residual = false, .relu = false, .place = Place::kSrc});
        }
      }
    }
}

#if MFS_TEST_CUDA
// Of more than 32 parts, blocks of a cluster share the reading on a Hopper GPU.
TEST_CASE("squeeze_excite starts from a convolution's sums") {
  for (const auto& k : cases::kMaps) SUBCASE(k.name) {
      if (k.src.elements() > 1000000) continue;  // like the others
      for (const Backend& backend : backends())
        for (const int parts : {3, 37}) check_case(k, DType::kF16, backend, {.place = Place::kSrc, .parts = parts});
    }
}
TEST_CASE("squeeze_excite needs no scratch where there are sums") {
  const Tensor src({1, 8, 8, 16}, DType::kF16), sums({1, 1, 40, 16}, DType::kF32);
  CHECK(scratch_bytes(backends().front(), SqueezeExcite{.src = src.view(), .hidden = 2}) > 0);
  CHECK(scratch_bytes(backends().front(), SqueezeExcite{.src = src.view(), .hidden = 2, .sums = sums.view()}) == 0);
}
#else
TEST_CASE("squeeze_excite on the CPU sums by itself") {
  const Tensor src({1, 2, 2, 3}, DType::kF32), sums({1, 1, 1, 3}, DType::kF32);
  Tensor dst({1, 2, 2, 3}, DType::kF32);
  const float weights[6] = {};
  const SqueezeExcite op{src.view(), {}, 2, weights, nullptr, weights, nullptr, true, dst.view(), {}, sums.view()};
  CHECK(run(Cpu{}, op).message() == "squeeze_excite: the CPU engine sums src itself");
}
#endif

// Means of whole numbers over 2^k pixels, and weights of one entry: every step but the sigmoid is exact.
TEST_CASE("squeeze_excite gates a channel by the channel that its weights name") {
  constexpr int kChannels = 40, kHidden = 5;
  for (const DType dtype : kDTypes) {
    for (const Backend& backend : backends()) {
      CAPTURE(dtype);
      CAPTURE(backend);
      Tensor src({2, 4, 8, kChannels}, dtype), dst({2, 4, 8, kChannels}, dtype);
      Tensor squeeze({1, 1, kHidden, kChannels}, DType::kF32), excite({1, 1, kChannels, kHidden}, DType::kF32);
      for (int n = 0; n < 2; ++n)
        for (int y = 0; y < 4; ++y)
          for (int x = 0; x < 8; ++x)
            for (int c = 0; c < kChannels; ++c) src.set(n, y, x, c, (c + n) % 4 - 1);
      for (int i = 0; i < kHidden; ++i)
        for (int c = 0; c < kChannels; ++c) squeeze.set(0, 0, i, c, c == 7 * i), excite.set(0, 0, c, i, c % kHidden == i);
      SqueezeExcite op{src.view(), {}, kHidden, squeeze.floats(), nullptr, excite.floats(), nullptr, false, dst.view(), {}};
      GuardedBytes scratch(scratch_bytes(backend, op));
      op.scratch = scratch.span();
      MFS_REQUIRE_OK(run(backend, op));
      MFS_CHECK_CLOSE(dst, ([&](int n, int, int, int c) {
                        const double mean = (c % kHidden * 7 + n) % 4 - 1, value = (c + n) % 4 - 1;
                        const double gated = value / (1 + std::exp(-std::max(mean, 0.0)));
                        const double arithmetic = 6 * kEps * std::abs(value);
                        return Expected{gated, arithmetic + rounding(dtype, std::abs(gated) + arithmetic)};
                      }));
    }
  }
}

TEST_CASE("squeeze_excite refuses what does not fit") {
  const Tensor src({1, 2, 2, 3}, DType::kF32), half({1, 2, 2, 3}, DType::kBF16);
  Tensor dst({1, 2, 2, 3}, DType::kF32), wrong({1, 2, 1, 3}, DType::kF32);
  const float weights[6] = {};
  SqueezeExcite good{src.view(), {}, 2, weights, nullptr, weights, nullptr, true, dst.view(), {}};
  CHECK(check(good));
  const auto with = [&](auto change) {
    SqueezeExcite op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([](auto& op) { op.src.data = nullptr; }), "src has no data");
  MFS_CHECK_REFUSED(with([](auto& op) { op.squeeze = nullptr; }), "no weights");
  MFS_CHECK_REFUSED(with([](auto& op) { op.excite = nullptr; }), "no weights");
  MFS_CHECK_REFUSED(with([](auto& op) { op.hidden = 0; }), "no hidden channels");
  MFS_CHECK_REFUSED(with([&](auto& op) { op.residual = half.view(); }), "residual is bf16");
  MFS_CHECK_REFUSED(with([&](auto& op) { op.sums = half.view(); }), "sums is bf16");
  MFS_CHECK_REFUSED(with([&](auto& op) { op.sums = wrong.view(); }), "sums is 1x2x1x3");
  MFS_CHECK_REFUSED(with([&](auto& op) { op.dst = wrong.view(); }), "dst is 1x2x1x3");
  const Status no_scratch = run(backends().front().device, good);
  CHECK(no_scratch.message().find("bytes of scratch") != std::string::npos);
}

}  // namespace
}  // namespace mfs::core::test
