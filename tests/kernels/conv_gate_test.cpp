// A convolution and squeeze-and-excitation in one kernel, against double precision from what the convolution alone stores.
#include "kernels/conv_gate.h"

#include <algorithm>
#include <limits>

#include "kernels/cuda/conv_family.h"
#include "kernels/cuda/conv_hopper_gate_plan.h"
#include "kernels/error.h"
#include "tests/kernels/gate_reference.h"
#include "tests/support/backends.h"

namespace mfs::core::test {
namespace {

struct Case {
  const char* name;
  Shape src;
  int channels, kernel = 3, stride = 1, hidden = 5;
  bool residual = true, relu = true, biases = true;
};
// Small enough for the race detector: two tiles.
const Case kSmall{"two tiles", {1, 12, 16, 16}, 16, 1};
const std::vector<Case> kCases{
    {"one image, tails", {1, 13, 21, 16}, 144},
    {"images, tiles past the end", {3, 9, 13, 16}, 80, 3, 1, 4},
    {"no residual", {1, 12, 20, 16}, 64, 3, 1, 4, false},
    {"nothing but the gate", {1, 12, 20, 16}, 64, 3, 1, 7, false, false, false},
    {"stride", {2, 17, 18, 32}, 96, 3, 2, 16},
    {"pixels alone", {1, 11, 30, 64}, 272, 1, 1, 4},
    {"one pixel", {1, 1, 1, 16}, 16},
};

struct Data {
  ConvGate gate;
  Tensor src, residual, weights, bias, barrier;
  GateWeights excitation;
  ConvParameters parameters;
  bool biases;

  Data(const Case& k, DType dtype)
      : gate{{.src = k.src,
              .dst = {k.src.n, conv_size(k.src.h, k.kernel, k.stride, 1, k.kernel / 2),
                      conv_size(k.src.w, k.kernel, k.stride, 1, k.kernel / 2), k.channels},
              .kernel = k.kernel,
              .stride = k.stride,
              .pad = k.kernel / 2,
              .dtype = dtype,
              .sums = true},
             k.hidden,
             k.residual,
             k.relu},
        src(k.src, dtype),
        residual(random_values(gate.conv.dst, is_narrow(dtype) ? DType::kF16 : dtype, 0, 41, 4)),
        weights(random_values({1, 1, k.channels, k.src.c * k.kernel * k.kernel}, DType::kF32, 0, 42, 0.25)),
        bias(random_values({1, 1, 1, k.channels}, DType::kF32, 0, 43)),
        barrier({1, 1, 1, static_cast<int>(kGridBarrierBytes / sizeof(float))}, DType::kF32),
        excitation(k.channels, k.hidden),
        parameters([this](float* w, float*, float* b) {
          std::copy_n(weights.floats(), weights.shape().elements(), w);
          std::copy_n(bias.floats(), bias.shape().elements(), b);
        }),
        biases(k.biases) {
    if (is_narrow(dtype)) gate.conv.src_scale = 0.25f, gate.conv.wide = DType::kF16;
    std::uint64_t i = 0;
    for (int n = 0; n < k.src.n; ++n)
      for (int y = 0; y < k.src.h; ++y)
        for (int x = 0; x < k.src.w; ++x)
          for (int c = 0; c < k.src.c; ++c) {
            const double u = uniform(40, i++);
            src.set(n, y, x, c, is_narrow(dtype) ? std::floor(u * 8) : 4 * u - 2);
          }
    std::fill_n(barrier.floats(), barrier.shape().elements(), 0.0f);
  }
  Data(const Data&) = delete;

  DType wide() const { return dst_dtype(gate.conv); }
  Tensor sums(int parts) const { return Tensor({gate.conv.dst.n, 1, parts, gate.conv.dst.c}, DType::kF32); }
  ConvGateArguments arguments(Tensor& dst, Tensor& sums) {
    return {src.view(),
            gate.residual ? View(residual.view()) : View(),
            {},
            excitation.squeeze.floats(),
            biases ? excitation.squeeze_bias.floats() : nullptr,
            excitation.excite.floats(),
            biases ? excitation.excite_bias.floats() : nullptr,
            dst.view(),
            sums.view(),
            reinterpret_cast<std::byte*>(barrier.floats())};
  }
};

int parts_of(const Data& d) {
  const HopperGeometry g = hopper_geometry(d.gate.conv);
  return g.tiles_x * g.tiles_y;
}

// What the kernel makes in its second run, behind a barrier that has been used. Neither run finds anything of the other's.
Tensor gated_map(Data& d, const PreparedConvGate& prepared, const Backend& backend) {
  Tensor first(d.gate.conv.dst, d.wide()), dst(d.gate.conv.dst, d.wide());
  Tensor sums = d.sums(parts_of(d)), other_sums = d.sums(parts_of(d));
  for (Tensor* const t : {&sums, &other_sums})
    std::fill_n(t->floats(), t->shape().elements(), std::numeric_limits<float>::quiet_NaN());
  MFS_REQUIRE_OK(prepared.run(backend.device, d.arguments(first, sums)));
  MFS_REQUIRE_OK(finish(backend));
  MFS_REQUIRE_OK(prepared.run(backend.device, d.arguments(dst, other_sums)));
  MFS_REQUIRE_OK(finish(backend));
  return dst;
}

#if MFS_HAVE_HOPPER
enum class Plans { kBest, kEveryTile, kAll };

void check_plans(const Case& k, DType dtype, Plans which) {
  CAPTURE(k.name);
  CAPTURE(dtype);
  Backend backend = backends().front();
  if (backend.device.capability != 90) return;
  backend.device.multiprocessors = std::max(backend.device.multiprocessors, 20);
  Data d(k, dtype);
  PackCache packs;
  std::vector<HopperPlan> plans = hopper_gate_plans(d.gate, hopper_room(backend.device));
  REQUIRE(!plans.empty());
  if (which == Plans::kBest) plans.resize(1);
  std::vector<int> tiles;
  for (const HopperPlan& plan : plans) {
    if (which == Plans::kEveryTile && std::ranges::find(tiles, plan.tile) != tiles.end()) continue;
    tiles.push_back(plan.tile);
    CAPTURE(plan.text());
    const Tensor dst = gated_map(d, *prepare_hopper_gate(d.gate, plan, d.parameters, "gate", packs), backend);
    Tensor between(d.gate.conv.dst, d.wide()), sums = d.sums(parts_of(d));
    const auto conv = prepare_hopper(d.gate.conv, plan, d.parameters, "conv", packs);
    MFS_REQUIRE_OK(conv->run(backend.device, {d.src.view(), {}, {}, between.view(), nullptr, {}, sums.view()}));
    MFS_REQUIRE_OK(finish(backend));
    std::vector<std::vector<Value>> gate;
    for (int n = 0; n < d.gate.conv.dst.n; ++n) gate.push_back(gates(between, n, d.excitation, d.gate.hidden, d.biases));
    MFS_CHECK_CLOSE(dst, ([&](int n, int y, int x, int c) {
                      const double shift = d.gate.residual ? d.residual.at(n, y, x, c) : 0;
                      return gated(between.at(n, y, x, c), gate[static_cast<std::size_t>(n)][static_cast<std::size_t>(c)],
                                   shift, d.gate.relu, d.wide());
                    }));
  }
}

TEST_CASE("conv_gate: every plan is within its bound") {
  check_plans(kSmall, DType::kF16, Plans::kAll);
  if (MFS_TEST_RACES) return;
  check_plans(kCases[1], DType::kF16, Plans::kAll);
  for (const DType dtype : {DType::kF16, DType::kU8, DType::kE4m3}) check_plans(kCases[0], dtype, Plans::kEveryTile);
}

TEST_CASE("conv_gate: problems of many kinds are within their bound") {
  if (MFS_TEST_RACES) return;
  for (const Case& k : kCases) check_plans(k, DType::kF16, Plans::kBest);
  check_plans(kCases[0], DType::kBF16, Plans::kBest);
  check_plans(kCases[1], DType::kU8, Plans::kBest);
  check_plans(kCases[4], DType::kE4m3, Plans::kBest);
}
#endif

TEST_CASE("conv_gate: the same bits in every order of events, and over the residual") {
  std::vector<double> first;
  Data d(MFS_TEST_RACES ? kSmall : kCases[2], DType::kF16), in_place(MFS_TEST_RACES ? kSmall : kCases[0], DType::kF16);
  for (const Backend& backend : backends()) {
    if (backend.device.capability != 90) return;
    REQUIRE(gate_parts(backend.device, d.gate) == parts_of(d));
    PackCache packs;
    const auto prepared = prepare_conv_gate(backend.device, d.gate, d.parameters, "gate", packs);
    const Tensor dst = gated_map(d, *prepared, backend);
    std::vector<double> bits;
    for (int y = 0; y < dst.shape().h; ++y)
      for (int x = 0; x < dst.shape().w; ++x)
        for (int c = 0; c < dst.shape().c; ++c) bits.push_back(dst.at(0, y, x, c));
    if (first.empty()) first = bits;
    CHECK(bits == first);
  }
  Backend backend = backends().front();
  backend.device.multiprocessors = 20;
  PackCache packs;
  const auto prepared = prepare_conv_gate(backend.device, in_place.gate, in_place.parameters, "gate", packs);
  const Tensor apart = gated_map(in_place, *prepared, backend);
  Tensor sums = in_place.sums(parts_of(in_place));
  MFS_REQUIRE_OK(prepared->run(backend.device, in_place.arguments(in_place.residual, sums)));
  MFS_REQUIRE_OK(finish(backend));
  MFS_CHECK_CLOSE(in_place.residual, ([&](int n, int y, int x, int c) { return Expected{apart.at(n, y, x, c)}; }));
}

TEST_CASE("conv_gate: where there is no kernel, and what does not fit") {
  Cuda cuda = backends().front().device;
  cuda.capability = 90, cuda.convolutions = ConvFamily::kBest, cuda.multiprocessors = 20;
  Data d(kCases.front(), DType::kF16);
  const auto parts_with = [&](const auto& change) {
    ConvGate gate = d.gate;
    change(gate);
    return gate_parts(cuda, gate);
  };
  if (MFS_HAVE_HOPPER && backends().front().device.capability == 90) CHECK(parts_with([](ConvGate&) {}) == parts_of(d));
  CHECK(parts_with([](ConvGate& g) { g.conv.sums = false; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.conv.residual = true; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.conv.relu = true; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.hidden = 0; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.residual_pitch = 148; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.conv.dtype = DType::kF32; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.conv.dst.c = 12; }) == 0);
  CHECK(parts_with([](ConvGate& g) { g.conv.src.n = g.conv.dst.n = 64; }) == 0);  // more tiles than multiprocessors
  CHECK(parts_with([](ConvGate& g) { g.hidden = 100000; }) == 0);
  cuda.convolutions = ConvFamily::kPortable;
  CHECK(gate_parts(cuda, d.gate) == 0);
  cuda.convolutions = ConvFamily::kBest, cuda.capability = 100;
  CHECK(gate_parts(cuda, d.gate) == 0);
  PackCache packs;
  CHECK_THROWS_AS(prepare_conv_gate(cuda, d.gate, d.parameters, "gate", packs), Error);

  Backend backend = backends().front();
  backend.device.multiprocessors = 20;
  if (gate_parts(backend.device, d.gate) == 0) return;
  const auto prepared = prepare_conv_gate(backend.device, d.gate, d.parameters, "gate", packs);
  Tensor dst(d.gate.conv.dst, DType::kF16), sums = d.sums(parts_of(d)), few = d.sums(1), wrong({1, 2, 2, 144}, DType::kF16);
  const auto said = [&](const auto& change, Tensor& s) {
    ConvGateArguments a = d.arguments(dst, s);
    change(a);
    return prepared->run(backend.device, a).message();
  };
  CHECK(said([](ConvGateArguments&) {}, few).find("sums is 1x1x1x144") != std::string::npos);
  CHECK(said([&](ConvGateArguments& a) { a.residual = wrong.view(); }, sums).find("residual is 1x2x2x144") !=
        std::string::npos);
  CHECK(said([](ConvGateArguments& a) { a.barrier = nullptr; }, sums).find("barrier") != std::string::npos);
  CHECK(said([&](ConvGateArguments& a) { a.dst = wrong.view(); }, sums).find("dst is 1x2x2x144") != std::string::npos);
  CHECK(said([](ConvGateArguments& a) { a.dst.data = nullptr; }, sums).find("dst has no data") != std::string::npos);
  CHECK(said([](ConvGateArguments& a) { a.residual.dtype = DType::kU8; }, sums).find("residual is u8") != std::string::npos);
#if MFS_EMULATED
  backend.device.multiprocessors = 1;  // of another GPU
  CHECK(said([](ConvGateArguments&) {}, sums).find("no room for all blocks") != std::string::npos);
#endif
}

TEST_CASE("conv_gate: the network's") {
  ConvGate gate{
      {.src = {1, 128, 128, 256}, .dst = {1, 128, 128, 256}, .kernel = 3, .pad = 1, .dtype = DType::kF16, .sums = true},
      16,
      true,
      true};
  const Cost all = cost(gate);
  CHECK(all.bytes_read == 2 * 128 * 128 * 256 * 2 + 256 * 2304 * 2 + 256 * 4 + 2 * 256 * 16 * 4);
  const auto plans = hopper_gate_plans(gate, undivided_room(132));
  REQUIRE(!plans.empty());
  CHECK(kHopperTiles[plans.front().tile].columns == 256);
  CHECK(hopper_clusters(hopper_geometry(gate.conv), plans.front()) * plans.front().cluster_blocks() == 128);
  // Of 128 tiles, in clusters that GPCs have no room for all at once, none.
  for (const HopperPlan& plan : hopper_gate_plans(gate, {132, 60, 30})) CHECK(plan.cluster_blocks() == 1);
  gate.conv.src.n = gate.conv.dst.n = 2;
  CHECK(hopper_gate_plans(gate, undivided_room(132)).empty());
}

}  // namespace
}  // namespace mfs::core::test
