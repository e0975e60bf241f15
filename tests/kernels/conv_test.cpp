#include "kernels/conv.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>

#include "kernels/conv_group.h"
#include "kernels/cuda/conv_family.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/error.h"
#include "tests/kernels/cases.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"
#include "tests/support/sums.h"

namespace mfs::core::test {
namespace {

// Everything a convolution reads. Weights are representable in bf16 and f16, so that packing them rounds nothing.
struct Data {
  Tensor src, weights, bias, residual;  // weights: one "pixel" per output and input channel, kernel x kernel "channels"
  Tensor joined, joined_weights;        // of at least one channel, which is not used if nothing is joined

  const float* floats(const Tensor& t) const { return static_cast<const float*>(t.view().data); }
};

Data make(const Conv& p, bool integers) {
  const Shape taps{1, p.dst.c, p.src.c, p.kernel * p.kernel}, vector{1, 1, 1, p.dst.c};
  const Shape joined = p.joined.c > 0 ? p.joined : Shape{}, joined_taps{1, p.dst.c, joined.c, 1};
  if (integers) {
    return {small_integers(p.src, p.dtype, p.src_pitch, 20),     small_integers(taps, DType::kF32, 0, 21),
            small_integers(vector, DType::kF32, 0, 22, 20),      small_integers(p.dst, p.dtype, p.residual_pitch, 23, 50),
            small_integers(joined, p.dtype, p.joined_pitch, 24), small_integers(joined_taps, DType::kF32, 0, 25)};
  }
  Data d{random_values(p.src, p.dtype, p.src_pitch, 20),     small_integers(taps, DType::kF32, 0, 21, 128),
         random_values(vector, DType::kF32, 0, 22),          random_values(p.dst, p.dtype, p.residual_pitch, 23),
         random_values(joined, p.dtype, p.joined_pitch, 24), small_integers(joined_taps, DType::kF32, 0, 25, 128)};
  for (Tensor* weights : {&d.weights, &d.joined_weights})
    for (std::int64_t i = 0; i < weights->shape().elements(); ++i) weights->floats()[i] /= 128;
  return d;
}

// What the sum is before rounding, and the sum of its terms' magnitudes; dense over dst.
struct Sum {
  double value = 0, magnitude = 0;
};

std::vector<double> dense(const Tensor& t) {
  std::vector<double> v;
  const Shape& s = t.shape();
  v.reserve(static_cast<std::size_t>(s.elements()));
  for (int n = 0; n < s.n; ++n) {
    for (int y = 0; y < s.h; ++y) {
      for (int x = 0; x < s.w; ++x) {
        for (int c = 0; c < s.c; ++c) v.push_back(t.at(n, y, x, c));
      }
    }
  }
  return v;
}

// The slow reference looks at every pixel of small problems, at every 31st of large ones.
int pixel_step(const Conv& p) { return cost(p).flops > 1000000000 ? 31 : 1; }

std::int64_t pixel_number(const Shape& s, int n, int y, int x) { return (std::int64_t{n} * s.h + y) * s.w + x; }

std::vector<Sum> reference(const Conv& p, const Data& d) {
  const std::vector<double> src = dense(d.src), weights = dense(d.weights), joined_weights = dense(d.joined_weights);
  const int area = p.kernel * p.kernel;
  std::vector<Sum> sums;
  for (int n = 0; n < p.dst.n; ++n) {
    for (int y = 0; y < p.dst.h; ++y) {
      for (int x = 0; x < p.dst.w; ++x) {
        if (pixel_number(p.dst, n, y, x) % pixel_step(p) != 0) continue;
        for (int o = 0; o < p.dst.c; ++o) {
          Sum s;
          const auto add = [&s](double term) { s.value += term, s.magnitude += std::abs(term); };
          for (int tap = 0; tap < area; ++tap) {
            const int sy = y * p.stride - p.pad + tap / p.kernel * p.dilation,
                      sx = x * p.stride - p.pad + tap % p.kernel * p.dilation;
            if (sy < 0 || sy >= p.src.h || sx < 0 || sx >= p.src.w) continue;
            const double* pixel = &src[static_cast<std::size_t>(pixel_number(p.src, n, sy, sx) * p.src.c)];
            const double* filter = &weights[static_cast<std::size_t>(std::int64_t{o} * p.src.c * area + tap)];
            for (int i = 0; i < p.src.c; ++i) add(pixel[i] * filter[std::ptrdiff_t{i} * area]);
          }
          for (int i = 0; i < p.joined.c; ++i)
            add(d.joined.at(n, y * p.joined_stride, x * p.joined_stride, i) *
                joined_weights[static_cast<std::size_t>(o * p.joined.c + i)]);
          add(d.bias.at(0, 0, 0, o));
          if (p.residual) add(d.residual.at(n, y, x, o));
          if (p.relu) s.value = std::max(s.value, 0.0);
          sums.push_back(s);
        }
      }
    }
  }
  return sums;
}

// Integers: exact sums, one rounding to the element type. Otherwise as many roundings as terms, and that last one. Tensor cores
// truncate inside their sums, with two bits less.
// Winograd multiplies transformed values, whose rounding does not follow the terms of one output: there the bound follows the
// standard deviation of a sum of that length. F(2x2) transforms by +-1 and halves, F(4x4) by up to 8 along both axes; in bf16
// the transformed values are rounded, too. (Measured: less than half of these bounds.)
Expected expected(const Conv& p, const Sum& s, bool integers, const std::string& algorithm) {
  const double terms = static_cast<double>(p.src.c) * p.kernel * p.kernel + p.joined.c + 2;
  const double unit = algorithm.starts_with("mma") || algorithm.starts_with("hopper") ? 0x1p-22 : kEps;
  double arithmetic = integers ? 0 : terms * unit * s.magnitude;
  if (algorithm.find("winograd") != std::string::npos) {
    const double largest_product = integers ? 9 : 1;
    const double f32_unit = (algorithm.find("4x4") != std::string::npos ? 400 : 40) * kEps;
    arithmetic = (p.dtype == DType::kF32 ? f32_unit : 0x1p-6) * std::sqrt(terms) * largest_product;
  }
  if (arithmetic == 0) return {stored(p.dtype, s.value), 0};
  return {s.value, arithmetic + rounding(p.dtype, std::abs(s.value) + arithmetic)};
}

// A problem with its data and what comes out.
struct Trial {
  Trial(const cases::ConvCase& c, DType dtype, bool use_integers, bool sums_too = false)
      : problem(cases::problem(c, dtype)),
        in_place(c.residual == cases::Residual::kInPlace),
        integers(use_integers),
        data(make(problem, integers)),
        sums(reference(problem, data)) {
    problem.sums = sums_too;
  }

  Conv problem;
  bool in_place, integers;
  Data data;
  std::vector<Sum> sums;

  ConvParameters parameters() const {
    return [this](float* weights, float* joined, float* bias) {
      std::copy_n(data.floats(data.weights), data.weights.shape().elements(), weights);
      if (problem.joined.c > 0) std::copy_n(data.floats(data.joined_weights), data.joined_weights.shape().elements(), joined);
      std::copy_n(data.floats(data.bias), data.bias.shape().elements(), bias);
    };
  }
  auto prepare_for(const Device& device) const {
    return prepare(device, problem, data.floats(data.weights), data.floats(data.bias), data.floats(data.joined_weights));
  }
  std::vector<double> run(const Backend& backend, const PreparedConv<Device>& conv) const;  // returns sums over parts
};

std::vector<double> Trial::run(const Backend& backend, const PreparedConv<Device>& conv) const {
  const Conv& p = problem;
  CAPTURE(p.dtype);
  CAPTURE(integers);
  CAPTURE(backend);
  const std::string& algorithm = conv.algorithm();
  CAPTURE(algorithm);
  Tensor dst(p.dst, p.dtype, p.dst_pitch), sums_of_parts(sums_shape(backend.device, p), DType::kF32);
  if (in_place) {
    for (int y = 0; y < p.dst.h; ++y) {
      for (int x = 0; x < p.dst.w; ++x) {
        for (int n = 0; n < p.dst.n; ++n)
          for (int c = 0; c < p.dst.c; ++c) dst.set(n, y, x, c, data.residual.at(n, y, x, c));
      }
    }
  }
  const View residual = in_place ? View(dst.view()) : p.residual ? data.residual.view() : View();
  GuardedBytes scratch(conv.scratch_bytes());
  MFS_REQUIRE_OK(conv.run(
      backend.device, {data.src.view(), residual, data.joined.view(), dst.view(), scratch.data(), {}, sums_of_parts.view()}));
  MFS_REQUIRE_OK(finish(backend));
  if (p.sums) check_sums(sums_of_parts, dst);
  MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) {
                    const std::int64_t pixel = pixel_number(p.dst, n, y, x);
                    if (pixel % pixel_step(p) != 0) return Expected{dst.at(n, y, x, c)};
                    const Sum& sum = sums[static_cast<std::size_t>(pixel / pixel_step(p) * p.dst.c + c)];
                    return expected(p, sum, integers, algorithm);
                  }));
  CHECK(scratch.canaries_intact());
  return dense(sums_of_parts);
}

#if MFS_TEST_CUDA
// The Hopper family on every fourth schedule: a run takes the emulator longer.
void run_case(const cases::ConvCase& k, DType dtype, bool integers) {
  const Trial trial(k, dtype, integers);
  for (std::size_t i = 0; i < backends().size(); ++i) {
    const Backend& backend = backends()[i];
    if (!backend.takes(cost(trial.problem))) continue;
    Cuda device = backend.device;
    device.convolutions = ConvFamily::kPortable;
    trial.run(backend, *trial.prepare_for(device));
    device.convolutions = ConvFamily::kHopper;
    const auto conv = trial.prepare_for(device);
    if (i % 4 == 0 && conv->algorithm().starts_with("hopper")) trial.run(backend, *conv);
  }
}
#else
void run_case(const cases::ConvCase& k, DType dtype, bool integers) {
  const Trial trial(k, dtype, integers);
  for (const Backend& backend : backends())
    if (backend.takes(cost(trial.problem))) trial.run(backend, *trial.prepare_for(backend.device));
}
#endif

#if MFS_TEST_CUDA
// f32 is for few pixels, like the pooled context's.
constexpr DType kConvDTypes[] = {DType::kF16, DType::kBF16, DType::kF32};
bool offered(DType) { return true; }
#else
constexpr DType kConvDTypes[] = {DType::kF32, DType::kBF16};
bool offered(DType dtype) { return has_conv(Cpu{}, dtype); }
#endif

void run_list(const std::vector<cases::ConvCase>& list, bool integers) {
  for (const auto& k : list) SUBCASE(k.name) {
      for (const DType dtype : kConvDTypes)
        if (offered(dtype)) run_case(k, dtype, integers);
    }
}

TEST_CASE("conv is exact on integers (Winograd: close)") { run_list(cases::kConv, true); }
TEST_CASE("conv matches the double-precision reference on random numbers") { run_list(cases::kConv, false); }
TEST_CASE("conv tiles, tails and splits are exact on integers") { run_list(cases::kConvTiles, true); }
#if MFS_TEST_CUDA
TEST_CASE("conv with a joined source is exact on integers") { run_list(cases::kConvJoined, true); }
TEST_CASE("conv with a joined source matches the double-precision reference") { run_list(cases::kConvJoined, false); }
// Groups of one are tested as single convolutions.
TEST_CASE("a group of convolutions is exact on integers") {
  const std::vector<cases::ConvCase> list{{"1x1", {1, 1, 1, 72}, 20, 1, 1, 1, 0, 0, cases::Residual::kNone, true},
                                          {"1x1 slices", {2, 3, 3, 40}, 13, 1, 1, 1, 0, 8, cases::Residual::kSeparate},
                                          {"3x3", {1, 6, 6, 36}, 20, 3, 1, 1, 1, 0, cases::Residual::kNone, true}};
  for (const bool odd : {false, true}) {  // channels that are no multiple of 4, in one of them
    std::vector<Trial> trials;
    for (cases::ConvCase k : list) {
      if (odd && k.kernel == 3) k.src.c = 35;
      trials.emplace_back(k, DType::kF32, true);
    }
    for (const Backend& backend : backends()) {
      CAPTURE(backend);
      PackCache packs;
      std::vector<GroupedConv> problems;
      std::deque<Tensor> results;
      std::vector<ConvArguments> arguments;
      for (const Trial& t : trials) {
        problems.push_back({t.problem, t.parameters(), std::to_string(problems.size())});
        results.emplace_back(t.problem.dst, DType::kF32, t.problem.dst_pitch);
        arguments.push_back(
            {t.data.src.view(), t.problem.residual ? View(t.data.residual.view()) : View(), {}, results.back().view()});
      }
      MFS_REQUIRE_OK(prepare_group(backend.device, problems, packs)->run(backend.device, arguments));
      MFS_REQUIRE_OK(finish(backend));
      for (std::size_t i = 0; i < trials.size(); ++i) {
        std::size_t sum = 0;
        MFS_CHECK_CLOSE(results[i],
                        ([&](int, int, int, int) { return expected(trials[i].problem, trials[i].sums[sum++], true, "f32"); }));
      }
    }
  }
}

TEST_CASE("a group is of f32, and of few") {
  PackCache packs;
  const Conv c = cases::problem(cases::kConv.front(), DType::kF32), half = cases::problem(cases::kConv.front(), DType::kF16);
  const ConvParameters none = [](float*, float*, float*) {};
  const auto prepare_all = [&](std::vector<GroupedConv> all) { prepare_group(backends().front().device, all, packs); };
  CHECK_THROWS_AS(prepare_all({}), Error);
  CHECK_THROWS_AS(prepare_all({{half, none, "half"}}), Error);
  CHECK_THROWS_AS(prepare_all(std::vector<GroupedConv>(kMostGrouped + 1, {c, none, "one"})), Error);
}

#if MFS_HAVE_HOPPER
void run_plans(const cases::ConvCase& k, Backend backend, int multiprocessors, bool all, bool sums = false) {
  if (backend.device.capability != 90) return;
  backend.device.convolutions = ConvFamily::kHopper;
  const Trial trial(k, DType::kF16, true, sums);
  backend.device.multiprocessors = multiprocessors;
  PackCache packs;
  std::vector<HopperPlan> plans = hopper_plans(trial.problem, undivided_room(multiprocessors));
  if (!all) plans.resize(1);
  for (const HopperPlan& plan : plans)
    trial.run(backend, *prepare_hopper(trial.problem, plan, trial.parameters(), "conv", packs));
}

// With one SM, so that a cluster does one tile after the other.
TEST_CASE("every plan of the Hopper family is exact on integers") {
  for (const auto& k : cases::kConvHopper) SUBCASE(k.name) {
      if (!MFS_TEST_RACES || &k == &cases::kConvHopper.front()) run_plans(k, backends().front(), 1, true);
    }
}
TEST_CASE("sums over parts of images are exact on integers in every plan of the Hopper family") {
  for (const auto& k : cases::kConvHopperSums) SUBCASE(k.name) {
      const bool first = &k == &cases::kConvHopperSums.front();
      if (first || !MFS_TEST_RACES) run_plans(k, backends().front(), 1, first && !MFS_TEST_RACES, true);
    }
}
TEST_CASE("sums over parts of images are within their bound, and the same in every order of events") {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    std::vector<double> first;
    const Trial trial(cases::kConvHopperSums.front(), dtype, false, true);
    for (Backend backend : backends()) {
      if (backend.device.capability != 90) return;
      if (dtype == DType::kBF16 && !first.empty()) break;
      backend.device.convolutions = ConvFamily::kHopper;
      const std::vector<double> sums = trial.run(backend, *trial.prepare_for(backend.device));
      if (first.empty()) first = sums;
      CHECK(sums == first);
    }
  }
}
TEST_CASE("sums are offered where they are written, and refused elsewhere") {
  Backend backend = backends().front();
  if (backend.device.capability != 90) return;
  Trial trial(cases::kConvHopperSums.front(), DType::kF16, true, true);
  backend.device.convolutions = ConvFamily::kHopper;
  CHECK(sum_parts(backend.device, trial.problem) > 0);
  const auto conv = trial.prepare_for(backend.device);
  Tensor dst(trial.problem.dst, DType::kF16), few(trial.problem.dst, DType::kF32);
  const ConvArguments without{trial.data.src.view(), {}, trial.data.joined.view(), dst.view()};
  ConvArguments with = without;
  with.sums = few.view();
  CHECK(conv->run(backend.device, without).message() == "conv: sums has no data");
  CHECK(conv->run(backend.device, with).message().find("conv: sums is 2x9x13x136, expected 2x1x") == 0);
  backend.device.convolutions = ConvFamily::kPortable;
  CHECK(sum_parts(backend.device, trial.problem) == 0);
  CHECK_THROWS_AS(trial.prepare_for(backend.device), Error);
}
TEST_CASE("a measured choice comes before the model's, on the GPU it was measured on") {
  Backend backend = backends().front();
  if (backend.device.capability != 90) return;
  const Trial trial(cases::kConvHopper.front(), DType::kBF16, true);
  const auto algorithm = [&](const HopperTable& table) {
    backend.device.tuned = &table;
    return trial.prepare_for(backend.device)->algorithm();
  };
  backend.device.convolutions = ConvFamily::kHopper;
  const int multiprocessors = backend.device.multiprocessors;
  const HopperPlan worst = hopper_plans(trial.problem, hopper_room(backend.device)).back();
  HopperTuned entry{tuned_problem(trial.problem), kHopperTiles[worst.tile], worst.cluster_rows, worst.cluster_columns};
  const std::string by_model = algorithm({});
  REQUIRE(worst.text() != by_model);
  CHECK(algorithm({"", "", multiprocessors, {&entry, 1}}) == worst.text());
  CHECK(algorithm({"", "", multiprocessors + 1, {&entry, 1}}) == by_model);
  entry.problem.src.h += 1;
  CHECK(algorithm({"", "", multiprocessors, {&entry, 1}}) == by_model);
  entry.problem.src.h -= 1;
  entry.tile.stages = 99;  // no kernel
  CHECK(algorithm({"", "", multiprocessors, {&entry, 1}}) == by_model);
  entry.tile = {};
  CHECK(algorithm({"", "", multiprocessors, {&entry, 1}}) == by_model);  // the portable family was not asked for
  backend.device.convolutions = ConvFamily::kBest;
  CHECK(algorithm({"", "", multiprocessors, {&entry, 1}}).starts_with("mma"));
}
TEST_CASE("the Hopper family is exact on integers in the network's layers") {
  for (const auto& k : cases::kConvSmallLayers) SUBCASE(k.name) {
      if (!MFS_TEST_RACES) run_plans(k, backends().front(), 132, false);
    }
}
#endif
#else
TEST_CASE("conv in bf16 is tested, or refused by a processor without AVX-512") {
  if (has_conv(Cpu{}, DType::kBF16)) return;
  MESSAGE("skipped: bf16, which this processor has no instructions for");
  const Conv p = cases::problem(cases::kConv.front(), DType::kBF16);
  const Data d = make(p, true);
  CHECK_THROWS_WITH_AS(prepare(Cpu{}, p, d.floats(d.weights), d.floats(d.bias)),
                       "conv: bf16 needs a processor with AVX-512; f32 works on all", Error);
}
TEST_CASE("conv of two sources is refused") {
  const Conv p = cases::problem(cases::kConvJoined.front(), DType::kF32);
  const std::vector<float> weights(static_cast<std::size_t>(p.dst.c) * 64);
  CHECK_THROWS_AS(prepare(Cpu{}, p, weights.data(), weights.data(), weights.data()), Error);
}
#endif

TEST_CASE("conv gives the same bits when it is run again") {
  const Backend& backend = backends().front();
  const Conv p = cases::problem(cases::kConv.back(), kDTypes[0]);
  const Data d = make(p, false);
  const auto conv = prepare(backend.device, p, d.floats(d.weights), d.floats(d.bias));
  GuardedBytes scratch(conv->scratch_bytes());
  Tensor first(p.dst, p.dtype), second(p.dst, p.dtype);
  for (Tensor* dst : {&first, &second}) {
    MFS_REQUIRE_OK(conv->run(backend.device, {d.src.view(), {}, {}, dst->view(), scratch.data()}));
    MFS_REQUIRE_OK(finish(backend));
  }
  CHECK(std::memcmp(first.view().data, second.view().data, static_cast<std::size_t>(first.view().bytes())) == 0);
}

TEST_CASE("conv refuses what does not fit") {
  Conv good{{1, 8, 6, 5}, {1, 8, 6, 7}, 3, 1, 2, 2};
  good.residual = true;
  CHECK(check(good));
  const auto with = [&](const auto& change) {
    Conv op = good;
    change(op);
    return op;
  };
  MFS_CHECK_REFUSED(with([](Conv& c) { c.src.h = 0; }), "src is empty");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.stride = 0; }), "at least 1");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.pad = -1; }), "negative");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.pad = 1; }), "expected 1x6x4x7");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.pad = 0, c.dilation = 4; }), "reaches over 9 pixels");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.dtype = DType::kI8; }), "i8");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.src_pitch = 4; }), "src has 5 channels but a pitch of 4");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.residual_pitch = 6; }), "residual has 7 channels");
  MFS_CHECK_REFUSED(with([](Conv& c) { c.residual = false, c.residual_pitch = 7; }), "no residual");
  const std::vector<float> weights(7 * 5 * 9), bias(7);
  MFS_CHECK_REFUSED(with([](Conv& c) { c.joined = {1, 4, 6, 3}; }), "joined is 1x4x6x3");
  CHECK_THROWS_AS(prepare(backends().front().device, with([](Conv& c) { c.stride = 0; }), weights.data(), bias.data()), Error);
}

}  // namespace
}  // namespace mfs::core::test
