// The stem's kernel against convolution and pooling in double precision.
#include "kernels/stem.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cuda/stem_hopper_plan.h"
#include "kernels/error.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  Shape src;
  std::vector<StemPart> parts;
};
// Small enough for the race detector, first.
const std::vector<Case> kSmallCases{
    {"one pooled pixel", {1, 4, 4, 4}, {{8, 3}, {8, 2}}},
    {"5 x 3 pooled pixels", {1, 20, 12, 4}, {{8, 3}}},
};
const std::vector<Case> kCases{
    {"more rows than a block has, both kinds", {1, 28, 12, 4}, {{64, 3}, {128, 2}}},
    {"three images, init alone", {3, 12, 20, 4}, {{72, 2}}},
    {"tiles side by side", {1, 8, 536, 4}, {{24, 3}, {40, 2}}},
    {"two images of tiles side by side", {2, 24, 264, 4}, {{8, 3}}},
};

struct Data {
  Tensor src, weights, bias;
  ConvParameters parameters;

  Data(const Case& k, DType dtype, bool integers)
      : src(integers ? small_integers(k.src, dtype, 0, 50) : random_values(k.src, dtype, 0, 50)),
        weights(small_integers({1, 1, outputs(k), 4 * 49}, DType::kF32, 0, 51, integers ? 3 : 128)),
        bias(small_integers({1, 1, 1, outputs(k)}, DType::kF32, 0, 52, 20)),
        parameters([this](float* w, float*, float* b) {
          std::copy_n(weights.floats(), weights.shape().elements(), w);
          std::copy_n(bias.floats(), bias.shape().elements(), b);
        }) {
    if (!integers)
      for (std::int64_t i = 0; i < weights.shape().elements(); ++i) weights.floats()[i] /= 128;
  }
  Data(const Data&) = delete;

  static int outputs(const Case& k) {
    int all = 0;
    for (const StemPart& part : k.parts) all += part.channels;
    return all;
  }

  // A pixel of the convolution, before ReLU, and the sum of its terms' magnitudes.
  Expected convolved(int n, int y, int x, int o) const {
    double value = bias.at(0, 0, 0, o), magnitude = std::abs(value);
    const Shape& s = src.shape();
    for (int i = 0; i < 4; ++i)
      for (int tap = 0; tap < 49; ++tap) {
        const int sy = 2 * y - 3 + tap / 7, sx = 2 * x - 3 + tap % 7;
        if (sy < 0 || sy >= s.h || sx < 0 || sx >= s.w) continue;
        const double term = src.at(n, sy, sx, i) * weights.at(0, 0, o, i * 49 + tap);
        value += term, magnitude += std::abs(term);
      }
    return {value, magnitude};
  }
};

// Integers: exact sums, one rounding. Otherwise tensor cores truncate inside their sums, with two bits less than a float.
Expected expected(const std::vector<Expected>& map, const Shape& conv, const StemPart& part, bool integers, DType dtype, int n,
                  int y, int x, int c) {
  double value = 0, magnitude = 0;
  for (int v = 2 * y - (part.pool == 3); v < 2 * y + 2; ++v)
    for (int u = 2 * x - (part.pool == 3); u < 2 * x + 2; ++u) {
      if (v < 0 || u < 0) continue;
      const Expected& e = map[static_cast<std::size_t>(((std::int64_t{n} * conv.h + v) * conv.w + u) * conv.c + c)];
      value = std::max(value, e.value), magnitude = std::max(magnitude, e.bound);
    }
  if (integers) return {stored(dtype, value), 0};
  const double bound = (4 * 49 + 2) * 0x1p-22 * magnitude;
  return {value, bound + rounding(dtype, std::abs(value) + bound)};
}

void run_case(const Case& k, DType dtype, bool integers, std::size_t backend_step) {
  CAPTURE(k.name);
  CAPTURE(dtype);
  CAPTURE(integers);
  const Data data(k, dtype, integers);
  const Stem stem{k.src, dtype, k.parts};
  std::vector<std::vector<Expected>> maps;
  const Shape conv{k.src.n, k.src.h / 2, k.src.w / 2, 0};
  int first = 0;
  for (const StemPart& part : k.parts) {
    std::vector<Expected>& map = maps.emplace_back();
    for (int n = 0; n < conv.n; ++n)
      for (int y = 0; y < conv.h; ++y)
        for (int x = 0; x < conv.w; ++x)
          for (int c = 0; c < part.channels; ++c) map.push_back(data.convolved(n, y, x, first + c));
    first += part.channels;
  }
  for (std::size_t i = 0; i < backends().size(); i += backend_step) {
    const Backend& backend = backends()[i];
    CAPTURE(backend);
    PackCache packs;
    if (!has_stem(backend.device, stem)) return;  // no Hopper GPU
    const auto prepared = prepare_stem(backend.device, stem, data.parameters, "stem", packs);
    std::vector<Tensor> dst;
    std::vector<MutView> views;
    for (std::size_t part = 0; part < k.parts.size(); ++part)
      dst.emplace_back(stem_shape(stem, part), dtype, k.parts[part].channels + 8 * static_cast<int>(part));
    for (Tensor& t : dst) views.push_back(t.view());
    MFS_REQUIRE_OK(prepared->run(backend.device, data.src.view(), views));
    MFS_REQUIRE_OK(finish(backend));
    for (std::size_t part = 0; part < k.parts.size(); ++part) {
      Shape of_part = conv;
      of_part.c = k.parts[part].channels;
      MFS_CHECK_CLOSE(dst[part], ([&](int n, int y, int x, int c) {
                        return expected(maps[part], of_part, k.parts[part], integers, dtype, n, y, x, c);
                      }));
    }
  }
}

TEST_CASE("stem: convolution, ReLU and pooling at once") {
  for (const DType dtype : kDTypes) {
    for (const Case& k : kSmallCases) run_case(k, dtype, true, 2);
#if !MFS_TEST_RACES
    for (const Case& k : kCases) run_case(k, dtype, true, 4);
    run_case(kCases[1], dtype, false, 9);
#endif
  }
#if MFS_TEST_RACES
  run_case(kCases[3], DType::kF16, true, 2);
#endif
}

TEST_CASE("stem: a NaN in the photo is not pooled away") {
  const Case k{"NaN", {1, 8, 8, 4}, {{8, 3}, {8, 2}}};
  Data data(k, DType::kF16, true);
  data.src.set(0, 7, 7, 2, std::numeric_limits<double>::quiet_NaN());
  const Backend& backend = backends().front();
  const Stem stem{k.src, DType::kF16, k.parts};
  if (!has_stem(backend.device, stem)) return;
  PackCache packs;
  Tensor first(stem_shape(stem, 0), DType::kF16), second(stem_shape(stem, 1), DType::kF16);
  const MutView views[] = {first.view(), second.view()};
  MFS_REQUIRE_OK(
      prepare_stem(backend.device, stem, data.parameters, "stem", packs)->run(backend.device, data.src.view(), views));
  MFS_REQUIRE_OK(finish(backend));
  for (const Tensor* t : {&first, &second})
    for (int c = 0; c < 8; ++c) {
      CHECK(std::isnan(t->at(0, 1, 1, c)));
      CHECK(!std::isnan(t->at(0, 0, 0, c)));
    }
}

TEST_CASE("stem: problems without a kernel") {
  Cuda cuda = backends().front().device;
  cuda.capability = 90;
  const Stem good{{1, 8, 8, 4}, DType::kF16, {{8, 3}}};
  CHECK(has_stem(cuda, good) == (MFS_HAVE_HOPPER != 0));
  for (const Stem& bad : {Stem{{1, 8, 8, 3}, DType::kF16, {{8, 3}}}, Stem{{1, 8, 6, 4}, DType::kF16, {{8, 3}}},
                          Stem{{1, 8, 8, 4}, DType::kF32, {{8, 3}}}, Stem{{1, 8, 8, 4}, DType::kF16, {{12, 3}}},
                          Stem{{1, 8, 8, 4}, DType::kF16, {{8, 4}}}, Stem{{1, 8, 8, 4}, DType::kF16, {}}})
    CHECK(!has_stem(cuda, bad));
  cuda.capability = 100;
  CHECK(!has_stem(cuda, good));
  PackCache packs;
  CHECK_THROWS_AS(prepare_stem(cuda, good, {}, "stem", packs), Error);
}

TEST_CASE("stem: the network's fills a GPU once") {
  const Stem stem{{1, 512, 512, 4}, DType::kF16, {{64, 3}, {256, 2}}};
  const Cost all = cost(stem);
  CHECK(all.flops == std::int64_t{2} * 256 * 256 * 320 * 196);
  CHECK(all.bytes_read == 512 * 512 * 4 * 2 + 320 * 196 * 2 + 320 * 4);
  CHECK(all.bytes_written == 128 * 128 * 320 * 2);
  const StemPlan plan = stem_plan(stem, 132);
  CHECK(plan.rows == 3);
  CHECK(plan.slots == 43);  // of each of three chunks of channels
}

}  // namespace
}  // namespace mfs::core::test
