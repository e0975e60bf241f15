// The end of the pyramid head in one kernel, against convolution, bilinear priors and dot product in double precision.
#include "kernels/conv_head.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cuda/conv_hopper_head_plan.h"
#include "kernels/cuda/conv_hopper_tuned.h"
#include "kernels/error.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"
#include "tests/support/fp8_loss.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  Shape src;
  int joined, channels;
  std::vector<int> bins;
  bool align_corners;
};
// Small enough for the race detector, and for every plan.
const Case kSmall{"one image", {1, 9, 13, 16}, 0, 80, {1, 3}, false};
const std::vector<Case> kCases{
    {"two images, tails", {2, 9, 13, 48}, 32, 144, {1, 2, 3, 6}, true},
    {"flat ends", {2, 9, 13, 64}, 0, 144, {1, 2, 3, 6}, false},
    {"tiles side by side", {1, 20, 40, 16}, 0, 48, {1, 2, 3, 6}, true},
    {"one row a tile", {1, 3, 70, 16}, 16, 32, {1, 2, 3, 6}, true},
    {"two rows a tile, a network's", {1, 64, 64, 64}, 32, 64, {1, 2, 3, 6}, true},
    {"more values than pixels", {1, 2, 3, 16}, 0, 16, {7, 4}, false},
    {"one value", {3, 5, 4, 16}, 0, 272, {1}, true},
    {"one pixel", {1, 1, 1, 32}, 16, 16, {1, 2, 3, 6}, true},
    {"eight levels", {1, 20, 9, 16}, 0, 48, {1, 2, 3, 4, 5, 3, 2, 1}, false},
};

// Sums of narrow types are exact: the sources' scales and the weights' steps are powers of two, and each channel has a weight
// of the largest magnitude, so that rounding the others changes nothing.
struct Data {
  ConvHead head;
  Tensor src, joined, weights, joined_weights, bias;
  LogitParameters logit;
  std::vector<Tensor> priors;
  ConvParameters parameters;

  Data(const Case& k, DType dtype)
      : head{{.src = k.src,
              .dst = {k.src.n, k.src.h, k.src.w, k.channels},
              .dtype = dtype,
              .joined = k.joined ? Shape{k.src.n, k.src.h, k.src.w, k.joined} : Shape{0, 0, 0, 0}},
             k.bins,
             k.align_corners},
        src(source(k.src, dtype, 50)),
        joined(source(k.joined ? head.conv.joined : Shape{}, dtype, 51)),
        weights(small_integers({1, 1, k.channels, k.src.c}, DType::kF32, 0, 52, most(dtype))),
        joined_weights(small_integers({1, 1, k.channels, std::max(k.joined, 1)}, DType::kF32, 0, 53, most(dtype) / 2)),
        bias(small_integers({1, 1, 1, k.channels}, DType::kF32, 0, 54, 20)),
        logit{std::vector<float>(static_cast<std::size_t>(k.channels)), 0.375f},
        parameters([this](float* w, float* j, float* b) {
          std::copy_n(weights.floats(), weights.shape().elements(), w);
          if (head.conv.joined.c > 0) std::copy_n(joined_weights.floats(), joined_weights.shape().elements(), j);
          std::copy_n(bias.floats(), bias.shape().elements(), b);
        }) {
    if (is_narrow(dtype)) head.conv.src_scale = 0.25f, head.conv.joined_scale = 0.5f, head.conv.wide = DType::kF16;
    for (int o = 0; o < k.channels; ++o) weights.set(0, 0, o, 0, most(dtype));
    for (std::int64_t i = 0; i < weights.shape().elements(); ++i) weights.floats()[i] /= 128;
    for (std::int64_t i = 0; i < joined_weights.shape().elements(); ++i) joined_weights.floats()[i] /= 128;
    for (std::size_t i = 0; i < logit.weights.size(); ++i) logit.weights[i] = static_cast<float>(2 * uniform(55, i) - 1);
    for (const int b : k.bins)
      priors.push_back(random_values({k.src.n, b, b, k.channels}, DType::kF32, 0, 60 + priors.size(), kPriors));
  }
  Data(const Data&) = delete;

  static constexpr double kPriors = 40;  // their largest magnitude: some sums are negative, some are not
  static int most(DType t) { return t == DType::kE4m3 ? 7 : 127; }
  static Tensor source(const Shape& shape, DType t, std::uint64_t seed) {
    if (!is_narrow(t)) return random_values(shape, t, 0, seed, 4);
    Tensor values(shape, t);
    std::uint64_t i = 0;
    for (int n = 0; n < shape.n; ++n)
      for (int y = 0; y < shape.h; ++y)
        for (int x = 0; x < shape.w; ++x)
          for (int c = 0; c < shape.c; ++c) values.set(n, y, x, c, std::floor(uniform(seed, i++) * 8));
    return values;
  }

  // A pixel of what is never stored, before ReLU.
  Expected feature(int n, int y, int x, int c) const {
    const Conv& conv = head.conv;
    const double unit = is_narrow(conv.dtype) ? conv.src_scale : 1, joined_unit = is_narrow(conv.dtype) ? conv.joined_scale : 1;
    double value = 0, magnitude = 0;
    const auto add = [&](double term) { value += term, magnitude += std::abs(term); };
    for (int i = 0; i < conv.src.c; ++i) add(src.at(n, y, x, i) * unit * weights.at(0, 0, c, i));
    for (int i = 0; i < conv.joined.c; ++i) add(joined.at(n, y, x, i) * joined_unit * joined_weights.at(0, 0, c, i));
    const double terms = conv.src.c + conv.joined.c;
    double bound = conv.dtype == DType::kU8     ? 0
                   : conv.dtype == DType::kE4m3 ? fp8_loss(terms) * magnitude
                                                : (terms + 2) * 0x1p-22 * magnitude;
    add(bias.at(0, 0, 0, c));
    bound += 4 * kEps * magnitude;  // the sum as a float, its scale, the bias
    for (std::size_t i = 0; i < priors.size(); ++i) {
      const int b = head.bins[i];
      const Lerp v = lerp_at(y, b, conv.dst.h, head.align_corners), h = lerp_at(x, b, conv.dst.w, head.align_corners);
      const double ty = v.t, tx = h.t;
      const double top = (1 - tx) * priors[i].at(n, v.lo, h.lo, c) + tx * priors[i].at(n, v.lo, h.hi, c);
      const double bottom = (1 - tx) * priors[i].at(n, v.hi, h.lo, c) + tx * priors[i].at(n, v.hi, h.hi, c);
      value += (1 - ty) * top + ty * bottom;
    }
    // A prior at a node: four roundings along each axis, and those of its places, which are worth up to twice the largest
    // value. Between nodes the same along one axis, with the place in the reference. Every addition rounds once.
    const double levels = static_cast<double>(priors.size());
    bound += (16 + levels + 8) * kEps * levels * kPriors + kEps * std::abs(value);
    return {value, bound};
  }
};

// Of the channels [first, last).
Expected part_of(const Data& d, int n, int y, int x, int first, int last) {
  double value = first == 0 ? d.logit.bias : 0, magnitude = std::abs(value), inherited = 0;
  for (int c = first; c < last; ++c) {
    const Expected feature = d.feature(n, y, x, c);
    const double weight = d.logit.weights[static_cast<std::size_t>(c)];
    value += weight * std::max(feature.value, 0.0);
    magnitude += std::abs(weight) * (std::max(feature.value, 0.0) + feature.bound);
    inherited += std::abs(weight) * feature.bound;
  }
  return {value, inherited + (last - first + 4) * kEps * magnitude};
}

// Every `step`-th pixel is looked at.
std::vector<double> check_run(const Data& d, const PreparedConvHead& prepared, const Backend& backend, int parts, int own,
                              int step) {
  CAPTURE(backend);
  CAPTURE(prepared.algorithm());
  const Shape& dst = d.head.conv.dst;
  Tensor logit({dst.n, dst.h, dst.w, parts}, DType::kF32);
  std::vector<View> priors;
  for (const Tensor& t : d.priors) priors.push_back(t.view());
  const View joined = d.head.conv.joined.c > 0 ? d.joined.view() : View();
  MFS_REQUIRE_OK(prepared.run(backend.device, {d.src.view(), joined, priors, logit.view()}));
  MFS_REQUIRE_OK(finish(backend));
  MFS_CHECK_CLOSE(logit, ([&](int n, int y, int x, int part) {
                    if ((y * dst.w + x) % step != 0) return Expected{logit.at(n, y, x, part)};
                    return part_of(d, n, y, x, part * own, std::min((part + 1) * own, dst.c));
                  }));
  return std::vector<double>(logit.floats(), logit.floats() + logit.shape().elements());
}

#if MFS_HAVE_HOPPER
// With one SM, so that a cluster does one tile after the other.
void run_plans(const Case& k, DType dtype, bool all, int step = 1) {
  CAPTURE(k.name);
  CAPTURE(dtype);
  const Backend& backend = backends().front();
  if (backend.device.capability != 90) return;
  Backend small = backend;
  small.device.multiprocessors = 1;
  const Data d(k, dtype);
  PackCache packs;
  std::vector<HopperPlan> plans = hopper_head_plans(d.head, hopper_head_tiles(d.head), undivided_room(1));
  REQUIRE(!plans.empty());
  if (!all) plans.resize(1);
  for (const HopperPlan& plan : plans)
    check_run(d, *prepare_hopper_head(d.head, plan, d.parameters, d.logit, "head", packs), small,
              hopper_logit_parts(d.head, plan), hopper_own_columns(kHopperTiles[plan.tile]), step);
}

TEST_CASE("conv_head: every plan is within its bound") {
  run_plans(kSmall, DType::kF16, true);
  if (MFS_TEST_RACES) return;
  for (const DType dtype : {DType::kF16, DType::kU8, DType::kE4m3}) run_plans(kCases.front(), dtype, true);
}

TEST_CASE("conv_head: images, tiles and priors of many kinds are within their bound") {
  if (MFS_TEST_RACES) return;
  for (const Case& k : kCases) run_plans(k, DType::kF16, false, k.src.pixels() > 1000 ? 13 : 1);
  run_plans(kCases[0], DType::kBF16, false);
  run_plans(kCases[1], DType::kU8, false);
  run_plans(kCases[2], DType::kE4m3, false);
}
#endif

TEST_CASE("conv_head: the same bits in every order of events") {
  std::vector<double> first;
  const Data d(MFS_TEST_RACES ? kSmall : kCases.front(), DType::kF16);
  for (const Backend& backend : backends()) {
    const int parts = logit_parts(backend.device, d.head);
    if (parts == 0) return;  // no Hopper GPU
    PackCache packs;
    const auto prepared = prepare_conv_head(backend.device, d.head, d.parameters, d.logit, "head", packs);
    const auto plans = hopper_head_plans(d.head, hopper_head_tiles(d.head), hopper_room(backend.device));
    const std::vector<double> logit =
        check_run(d, *prepared, backend, parts, hopper_own_columns(kHopperTiles[plans.front().tile]), 1);
    if (first.empty()) first = logit;
    CHECK(logit == first);
  }
}

TEST_CASE("conv_head: a NaN stays in its pixels") {
  const Backend& backend = backends().front();
  Data d(kCases.front(), DType::kF16);
  const int parts = logit_parts(backend.device, d.head);
  if (parts == 0) return;
  d.src.set(1, 3, 5, 2, std::numeric_limits<double>::quiet_NaN());
  PackCache packs;
  const Shape& dst = d.head.conv.dst;
  Tensor logit({dst.n, dst.h, dst.w, parts}, DType::kF32);
  std::vector<View> priors;
  for (const Tensor& t : d.priors) priors.push_back(t.view());
  const auto prepared = prepare_conv_head(backend.device, d.head, d.parameters, d.logit, "head", packs);
  MFS_REQUIRE_OK(prepared->run(backend.device, {d.src.view(), d.joined.view(), priors, logit.view()}));
  MFS_REQUIRE_OK(finish(backend));
  for (int n = 0; n < dst.n; ++n)
    for (int y = 0; y < dst.h; ++y)
      for (int x = 0; x < dst.w; ++x)
        for (int part = 0; part < parts; ++part) CHECK(std::isnan(logit.at(n, y, x, part)) == (n == 1 && y == 3 && x == 5));
}

TEST_CASE("conv_head: what was measured for the convolution comes before the model") {
  Cuda cuda = backends().front().device;
  const Data d(kCases.front(), DType::kF16);
  if (logit_parts(cuda, d.head) == 0) return;
  PackCache packs;
  const HopperPlan worst = hopper_head_plans(d.head, hopper_head_tiles(d.head), hopper_room(cuda)).back();
  HopperTuned entry{tuned_problem(d.head.conv), kHopperTiles[worst.tile], worst.cluster_rows, worst.cluster_columns};
  const HopperTable table{"", "", cuda.multiprocessors, {&entry, 1}};
  const auto algorithm = [&] { return prepare_conv_head(cuda, d.head, d.parameters, d.logit, "head", packs)->algorithm(); };
  const std::string by_model = algorithm();
  REQUIRE(by_model != worst.text());
  cuda.tuned = &table;
  CHECK(algorithm() == worst.text());
  CHECK(logit_parts(cuda, d.head) == hopper_logit_parts(d.head, worst));
  entry.tile.stages = 99;  // no kernel
  CHECK(algorithm() == by_model);
}

TEST_CASE("conv_head: where there is no kernel, and what does not fit") {
  Cuda cuda = backends().front().device;
  cuda.capability = 90, cuda.convolutions = ConvFamily::kBest;
  const Data d(kCases.front(), DType::kF16);
  const auto parts_with = [&](const auto& change) {
    ConvHead head = d.head;
    change(head);
    return logit_parts(cuda, head);
  };
  CHECK((parts_with([](ConvHead&) {}) > 0) == (MFS_HAVE_HOPPER != 0));
  CHECK(parts_with([](ConvHead& h) { h.conv.residual = true; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.conv.relu = true; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.conv.joined_stride = 2; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.conv.dtype = DType::kF32; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.conv.dst.c = 12; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.bins = {}; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.bins = {0}; }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.bins = std::vector<int>(9, 1); }) == 0);
  CHECK(parts_with([](ConvHead& h) { h.bins = {13}, h.conv.src.h = h.conv.dst.h = h.conv.joined.h = 64; }) == 0);
  cuda.convolutions = ConvFamily::kPortable;
  CHECK(logit_parts(cuda, d.head) == 0);
  cuda.convolutions = ConvFamily::kBest, cuda.capability = 100;
  CHECK(logit_parts(cuda, d.head) == 0);
  PackCache packs;
  CHECK_THROWS_AS(prepare_conv_head(cuda, d.head, d.parameters, d.logit, "head", packs), Error);

  const Backend& backend = backends().front();
  const int parts = logit_parts(backend.device, d.head);
  if (parts == 0) return;
  const auto prepared = prepare_conv_head(backend.device, d.head, d.parameters, d.logit, "head", packs);
  const Shape& dst = d.head.conv.dst;
  Tensor logit({dst.n, dst.h, dst.w, parts}, DType::kF32), whole({dst.n, dst.h, dst.w, 7}, DType::kF32);
  std::vector<View> priors;
  for (const Tensor& t : d.priors) priors.push_back(t.view());
  const auto said = [&](const std::vector<View>& p, MutView l) {
    return prepared->run(backend.device, {d.src.view(), d.joined.view(), p, l}).message();
  };
  CHECK(said(priors, whole.view()).find("logit is 2x9x13x7, expected 2x9x13x") != std::string::npos);
  CHECK(said({priors[0]}, logit.view()).find("one prior for every number of bins") != std::string::npos);
  CHECK(said({priors[0], priors[1], priors[3], priors[2]}, logit.view()).find("a prior is 2x6x6x144") != std::string::npos);
}

TEST_CASE("conv_head: the network's") {
  ConvHead head{{.src = {1, 64, 64, 2048}, .dst = {1, 64, 64, 512}, .dtype = DType::kF16, .joined = {1, 64, 64, 256}},
                {1, 2, 3, 6},
                true};
  const Cost all = cost(head);
  CHECK(all.bytes_written == 64 * 64 * 4);
  CHECK(all.bytes_read == 64 * 64 * 2304 * 2 + 512 * 2304 * 2 + 512 * 8 + 50 * 512 * 4);
  for (const bool align_corners : {true, false}) {
    head.align_corners = align_corners;
    const HopperHeadTiles tiles = hopper_head_tiles(head);
    CHECK(tiles.geometry.tile_w == 64);
    CHECK(tiles.geometry.tile_h == 2);
    CHECK(tiles.rows == 2);
    CHECK(tiles.row_nodes == (align_corners ? 7 : 10));
    const auto plans = hopper_head_plans(head, tiles, undivided_room(132));
    CHECK(kHopperTiles[plans.front().tile].columns == 128);
    CHECK(hopper_logit_parts(head, plans.front()) == 4);
    head.conv.src.n = head.conv.dst.n = head.conv.joined.n = 16;
    CHECK(kHopperTiles[hopper_head_plans(head, hopper_head_tiles(head), undivided_room(132)).front().tile].columns == 256);
    head.conv.src.n = head.conv.dst.n = head.conv.joined.n = 1;
  }
}

TEST_CASE("between nodes the sum of priors is linear") {
  for (const std::vector<int>& bins : std::vector<std::vector<int>>{{1}, {1, 2, 3, 6}, {4, 5, 8}, {20}})
    for (const int pixels : {1, 2, 3, 8, 13, 40, 64, 129})
      for (const bool align_corners : {true, false}) {
        CAPTURE(pixels);
        CAPTURE(align_corners);
        const PriorNodes nodes = prior_nodes(pixels, bins, align_corners);
        std::vector<std::vector<double>> values;
        for (const int b : bins) {
          auto& prior = values.emplace_back();
          for (int i = 0; i < b; ++i) prior.push_back(uniform(70 + values.size(), static_cast<std::uint64_t>(i)));
        }
        const auto between = [](const auto& at, const Lerp& l) {
          return (1 - double{l.t}) * at(l.lo) + double{l.t} * at(l.hi);
        };
        const auto at_node = [&](int node) {
          double sum = 0;
          for (std::size_t i = 0; i < bins.size(); ++i)
            sum += between([&](int k) { return values[i][static_cast<std::size_t>(k)]; },
                           nodes.places[static_cast<std::size_t>(node) * bins.size() + i]);
          return sum;
        };
        REQUIRE(nodes.pixels.size() == static_cast<std::size_t>(pixels));
        CHECK(nodes.places.size() == static_cast<std::size_t>(nodes.count) * bins.size());
        CHECK(most_nodes(nodes, pixels) <= nodes.count);
        double worst = 0;
        for (int x = 0; x < pixels; ++x) {
          double sum = 0;
          for (std::size_t i = 0; i < bins.size(); ++i)
            sum += between([&](int k) { return values[i][static_cast<std::size_t>(k)]; },
                           lerp_at(x, bins[i], pixels, align_corners));
          const Lerp& pixel = nodes.pixels[static_cast<std::size_t>(x)];
          CHECK(pixel.lo >= 0);
          CHECK(pixel.hi < nodes.count);
          worst = std::max(worst, std::abs(between(at_node, pixel) - sum));
        }
        CHECK(worst <= 4 * kEps * static_cast<double>(bins.size()));  // of every place, in the reference, too
      }
  const std::vector<int> paper{1, 2, 3, 6};
  CHECK(prior_nodes(64, paper, true).count == 7);
  CHECK(most_nodes(prior_nodes(64, paper, true), 8) == 3);
}

}  // namespace
}  // namespace mfs::core::test
