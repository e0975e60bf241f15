// The CUDA engine on whole networks: step by step against a double-precision reference that rounds where the engine rounds, and
// from photo to probability against PyTorch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "kernels/bfloat16.h"
#include "kernels/cuda/device.h"
#include "kernels/float16.h"
#include "kernels/float8.h"
#include "layers/network.h"
#include "runtime/conv_problem.h"
#include "runtime/cuda_executor.h"
#include "runtime/cuda_staging.h"
#include "runtime/gate_fusion.h"
#include "runtime/lowering.h"
#include "runtime/photo_steps.h"
#include "tests/cuda/step_reference.h"
#include "tests/runtime/golden_network.h"
#include "tests/support/checks.h"

#if MFS_EMULATED
#include "kernels/cuda/simt/emulation/device_calls.h"
#include "kernels/cuda/simt/emulation/machine.h"
#endif

namespace mfs::core::test {
namespace {

CudaDeviceInfo device() {
  std::string why_none;
  const std::vector<CudaDeviceInfo> all = cuda_devices(why_none);
  REQUIRE_MESSAGE(!all.empty(), why_none);
  return all.front();
}

// The one whose convolutions can be of the Hopper family and whose kernels are launched programmatically; none elsewhere.
std::optional<CudaDeviceInfo> hopper_device() {
  CudaDeviceInfo d = device();
  if (MFS_EMULATED) d.capability = 90, d.programmatic = true;
  return MFS_HAVE_HOPPER && d.capability == 90 ? std::optional(d) : std::nullopt;
}

double number(DType dtype, const std::byte* p) {
  if (dtype == DType::kU8) return std::to_integer<int>(*p);
  if (dtype == DType::kE4m3) return static_cast<float>(std::bit_cast<Float8E4m3>(*p));
  if (dtype == DType::kF32) {
    float v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return dtype == DType::kF16 ? static_cast<float>(std::bit_cast<Float16>(bits))
                              : static_cast<float>(std::bit_cast<BFloat16>(bits));
}

Map download(const Cuda& cuda, const View& v) {
  const std::size_t element = size_of(v.dtype), pitch = static_cast<std::size_t>(v.pitch) * element;
  const auto pixels = static_cast<std::size_t>(v.shape.pixels());
  const CudaMemory host(MemoryKind::kPinned, (pixels - 1) * pitch + static_cast<std::size_t>(v.shape.c) * element);
  MFS_REQUIRE_OK(copy_to_host(cuda, host.data(), v.data, host.size()));
  MFS_REQUIRE_OK(wait(cuda));
  Map m{v.shape, {}};
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < static_cast<std::size_t>(v.shape.c); ++c)
      m.values.push_back(number(v.dtype, host.data() + p * pitch + c * element));
  return m;
}

bool of_hopper(const StepInfo& step) { return step.algorithm.starts_with("hopper"); }

void check_steps(const WeightsFile& file, const RunRequest& request, DType dtype, const CudaDeviceInfo& on = device(),
                 ConvFamily family = ConvFamily::kBest, DType narrow = DType::kF32) {
  CAPTURE(dtype);
  const CudaStream stream;
  Cuda cuda = stream.on(on);
  cuda.convolutions = family;
  PackCache packs;
  PlannedNetwork<Cuda> network(file, packs, cuda,
                               {64, 64, dtype, 2, false, 1, is_narrow(narrow) ? &*file.calibration() : nullptr, narrow});
  const CudaMemory arena(MemoryKind::kDevice, network.arena_bytes());
  network.place(arena.data());
  const auto read = [&](const Place& p) { return download(cuda, network.view(p)); };
  const StepReference reference(file, network.lowered(), read);

  Preprocess begin = preprocess_of(request, file.preprocess(), network.input(), {});
  const CudaMemory photo(MemoryKind::kDevice, static_cast<std::size_t>(request.image.row_stride * request.image.height));
  MFS_REQUIRE_OK(upload(photo.data(), request.image.data, photo.size()));
  const CudaMemory scratch(MemoryKind::kDevice, scratch_bytes(cuda, begin));
  begin.image.data = reinterpret_cast<const std::uint8_t*>(photo.data());
  begin.scratch = {scratch.data(), scratch.size()};
  MFS_REQUIRE_OK(run(cuda, begin));
  MFS_REQUIRE_OK(wait(cuda));
  cuda.programmatic = on.programmatic;
  if (family == ConvFamily::kHopper)
    CHECK(std::ranges::any_of(network.steps(), [](const auto& s) { return of_hopper(s.info); }));

  for (std::size_t i = 0; i < network.steps().size(); ++i) {
    const BoundStep<Cuda>& step = network.steps()[i];
    CAPTURE(step.info.name);
    CAPTURE(step.info.algorithm);
    const std::vector<ExpectedMap> expected = reference(network.lowered().ops[i].step);
    MFS_REQUIRE_OK(step.run(cuda));
    MFS_REQUIRE_OK(wait(cuda));
    for (const ExpectedMap& e : expected) {
      const Map actual = read(e.place);
      const DType type = reference.dtype(e.place);
      Diff diff;
      for (std::size_t k = 0; k < actual.values.size(); ++k) {
        const double stored = is_narrow(type) ? 0 : rounding(type, std::abs(e.value.values[k]) + e.bound.values[k]);
        const double bound = e.bound.values[k] + stored;
        diff.add(actual.values[k], {e.value.values[k], bound}, 0, 0, static_cast<int>(k) / e.place.shape.c,
                 static_cast<int>(k) % e.place.shape.c);
      }
      CHECK_MESSAGE(static_cast<bool>(diff), diff);
    }
  }
}

RunRequest request_of(const GoldenNetwork& golden) { return {.image = golden.photo(), .taps = golden.taps}; }

std::vector<float> probability_of(CudaExecutor& executor, const GoldenNetwork& golden) {
  std::vector<float> probability(golden.pixels.size() / 3);
  RunRequest r = request_of(golden);
  r.probability = probability.data(), r.probability_stride = std::int64_t{golden.width} * 4;
  MFS_REQUIRE_OK(executor.run(r));
  return probability;
}

// The emulator, thousands of times slower than a GPU, does one network of each kind in both types and repeatedly, of the others
// the rest.
bool in_full(const std::string& golden) { return !MFS_EMULATED || golden == "multi" || golden == "vgg_early"; }

// Roundings of f16 are an eighth of bf16's, whose limit in golden_test.cpp is 0.04.
void check_probability(CudaExecutor& executor, const GoldenNetwork& golden, bool again) {
  const std::vector<float> first = probability_of(executor, golden);
  if (again) {
    const std::vector<float> second = probability_of(executor, golden);
    CHECK(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)) == 0);
  }
  for (std::size_t i = 0; i < golden.probability_diagonal.size(); ++i) {
    const double error =
        std::abs(double{first[i * static_cast<std::size_t>(golden.width) + i]} - golden.probability_diagonal[i]);
    CHECK(error <= 0.005);
  }
}

TEST_CASE("every step of the golden networks is within its bound") {
  for (const std::string& name : kGoldenNames) {
    CAPTURE(name);
    const GoldenNetwork golden(name);
    const auto file = WeightsFile::open(golden.weights_path);
    check_steps(*file, request_of(golden), DType::kF16);
    if (in_full(name)) check_steps(*file, request_of(golden), DType::kBF16);
  }
}

TEST_CASE("every step of mfs-small is within its bound") {
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  const GoldenNetwork photo("multi");
  check_steps(*file, request_of(photo), DType::kF16);
}

TEST_CASE("every step of the paper's resnet-multi is within its bound") {
  const GoldenNetwork golden("resnet_multi");
  const auto file = WeightsFile::open(golden.weights_path);
  check_steps(*file, request_of(golden), DType::kF16);
}

TEST_CASE("f16 probabilities are near PyTorch's f32, and the same in every run") {
  for (const std::string& name : kGoldenNames) {
    CAPTURE(name);
    const GoldenNetwork golden(name);
    const auto file = WeightsFile::open(golden.weights_path);
    PackCache packs;
    for (const bool keep : {false, true}) {
      if (keep && !in_full(name)) continue;
      CudaExecutor executor(*file, packs, {64, 64, DType::kF16, device(), 2, keep});
      check_probability(executor, golden, in_full(name));
    }
  }
}

TEST_CASE("every step of mfs-small is within its bound on the Hopper family") {
  const auto on = hopper_device();
  if (!on) return;
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  const GoldenNetwork photo("multi");
  check_steps(*file, request_of(photo), DType::kF16, *on, ConvFamily::kHopper);
}

TEST_CASE("every step of mfs-small in int8 and fp8 is within its bound") {
  const auto on = hopper_device();
  if (!on) return;
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  REQUIRE(file->calibration());
  const GoldenNetwork photo("multi");
  for (const DType narrow : {DType::kU8, DType::kE4m3})
    check_steps(*file, request_of(photo), DType::kF16, *on, ConvFamily::kHopper, narrow);
}

TEST_CASE("in int8 and fp8 results are written twice rather than rounded by themselves") {
  const auto on = hopper_device();
  if (!on) return;
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  PackCache packs;
  for (const auto& [type, name] : {std::pair{DType::kU8, "int8"}, {DType::kE4m3, "fp8"}}) {
    CAPTURE(name);
    const CudaExecutor executor(*file, packs, {64, 64, DType::kF16, *on, 2, false, 1, &*file->calibration(), type});
    const auto count = [&](const std::string& word) {
      return std::ranges::count_if(executor.steps(),
                                   [&](const StepInfo& s) { return s.operation.find(word) != s.operation.npos; });
    };
    const bool fp8 = type == DType::kE4m3;
    const bool in_layer1 = std::ranges::any_of(executor.steps(), [&](const StepInfo& s) {
      return s.name.starts_with("layer1.") && s.operation.find(name) != s.operation.npos;
    });
    CHECK(in_layer1 == !fp8);
    CHECK(count(name) > (fp8 ? 32 : 40));
    CHECK(count("+copy") > (fp8 ? 7 : 10));  // what a shortcut and a convolution read
    CHECK(count("+sums") > 0);               // of every channel, what a gate starts from
    CHECK(count("+gate") > 0);
    CHECK(count("+sums") == count("+gate") + count("squeeze excite"));
    CHECK(count("quantise") <= 6);  // what something else made
    CHECK(count(" more") == 2);     // the pooled context's convolutions, and their products with the head's filters
  }
}

TEST_CASE("f16 probabilities on a Hopper GPU are near PyTorch's f32, and the same in every run") {
  const auto on = hopper_device();
  if (!on) return;
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  PackCache packs;
  CudaExecutor executor(*file, packs, {64, 64, DType::kF16, *on, 2, false});
  CHECK(std::ranges::any_of(executor.steps(), of_hopper));
  check_probability(executor, golden, true);
}

TEST_CASE("on a Hopper GPU the stem, the fusion branch's init and their pooling are one kernel") {
  const auto on = hopper_device();
  if (!on) return;
  for (const char* name : {"multi", "early_layer4_conv2"}) {
    CAPTURE(name);
    const GoldenNetwork golden(name);
    const auto file = WeightsFile::open(golden.weights_path);
    PackCache packs;
    for (const bool keep : {false, true}) {
      const CudaExecutor executor(*file, packs, {64, 64, DType::kF16, *on, 2, keep});
      const auto pools =
          std::ranges::count_if(executor.steps(), [](const StepInfo& s) { return s.operation.starts_with("max pool"); });
      CHECK((pools == 0) == !keep);
      CHECK(executor.steps().front().operation.ends_with("+pool") == !keep);
    }
  }
}

// With priors between their corners and, in the second network, between their centres.
TEST_CASE("on a Hopper GPU the head is one kernel behind the pooled context, and its logit is near PyTorch's") {
  const auto on = hopper_device();
  if (!on) return;
  for (const char* name : {"multi", "baseline_2x2"}) {
    CAPTURE(name);
    const GoldenNetwork golden(name);
    const auto file = WeightsFile::open(golden.weights_path);
    PackCache packs;
    CudaExecutor fused(*file, packs, {64, 64, DType::kF16, *on, 2});
    const CudaExecutor kept(*file, packs, {64, 64, DType::kF16, *on, 2, true});
    CHECK(fused.steps().back().operation.ends_with("+priors +logit"));
    CHECK(fused.steps().back().operation.find("->512") != std::string::npos);
    CHECK(of_hopper(fused.steps().back()));
    CHECK(fused.logit().shape.c > 1);
    CHECK(kept.steps().back().operation == "pyramid head");
    CHECK(kept.logit().shape.c == 1);
    if (name != std::string("multi")) check_probability(fused, golden, false);
  }
}

TEST_CASE("on a Hopper GPU the parts of a batch's logits are those of each photo") {
  const auto on = hopper_device();
  if (!on) return;
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  PackCache packs;
  CudaExecutor one(*file, packs, {64, 64, DType::kF16, *on, 2}), two(*file, packs, {64, 64, DType::kF16, *on, 2, false, 2});
  CHECK(two.steps().back().operation.ends_with("+priors +logit"));
  const Point elsewhere[] = {{50, 35}};
  std::vector<RunRequest> requests{request_of(golden), request_of(golden)};
  requests[1].taps = elsewhere;
  std::vector<std::vector<float>> alone(2, std::vector<float>(golden.pixels.size() / 3)), together = alone;
  for (std::size_t i = 0; i < 2; ++i) {
    requests[i].probability_stride = std::int64_t{golden.width} * 4;
    requests[i].probability = alone[i].data();
    MFS_REQUIRE_OK(one.run(requests[i]));
    requests[i].probability = together[i].data();
  }
  MFS_REQUIRE_OK(static_cast<Executor&>(two).run(requests));
  CHECK(alone[0] != alone[1]);
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t k = 0; k < alone[i].size(); ++k) CHECK(std::abs(together[i][k] - alone[i][k]) <= 0.005);
}

// Of an input of no particular content. `captured`: in a graph of ours instead of the executor's.
std::vector<double> logit_of(const CudaExecutor& executor, void* stream, bool captured = false) {
  Cuda cuda = executor.cuda();
  cuda.stream = stream;
  const CudaMemory input(MemoryKind::kPinned, static_cast<std::size_t>(executor.input().bytes()));
  for (std::size_t i = 0; i < input.size() / 2; ++i)
    reinterpret_cast<Float16*>(input.data())[i] = Float16(static_cast<float>(static_cast<int>(i * 37 % 251) - 125) / 100);
  const auto queue = [&] {
    const Status s = copy_to_device(cuda, const_cast<void*>(executor.input().data), input.data(), input.size());
    return s ? executor.queue_infer(cuda) : s;
  };
  CudaGraph graph;
  if (captured) graph = CudaGraph(cuda, queue);
  MFS_REQUIRE_OK(graph ? graph.launch(cuda) : queue());
  return download(cuda, executor.logit()).values;
}

#if MFS_EMULATED
using simt::emulation::Completion, simt::emulation::device_calls, simt::emulation::Machine, simt::emulation::Order;

const simt::emulation::Options kReverse{.order = Order::kReverse, .completion = Completion::kLate};
const simt::emulation::Options kRandom{.seed = 3, .order = Order::kRandom, .completion = Completion::kRandom};

// The network's graph, queued in a machine of the test's.
std::vector<Machine::Work> recorded(const CudaExecutor& executor, Machine& machine) {
  Cuda cuda = executor.cuda();
  cuda.stream = &machine;
  MFS_REQUIRE_OK(executor.queue_infer(cuda));
  return machine.take_queue();
}

// Whether the emulated GPU's code has waits.
struct Waits {
  explicit Waits(bool has) { simt::emulation::device_code_waits() = has; }
  ~Waits() { simt::emulation::device_code_waits() = true; }
};

TEST_CASE("kernels are launched programmatically, where that is possible, if only a kernel of their stream comes before") {
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  PackCache packs;
  for (const int streams : {1, 2})
    for (const auto& [device_can, code_waits] : {std::pair{false, true}, {true, false}, {true, true}}) {
      CAPTURE(streams);
      CAPTURE(device_can);
      CAPTURE(code_waits);
      const Waits waits(code_waits);
      const bool possible = device_can && code_waits;
      CudaPlanOptions options{.height = 64, .width = 64, .device = device(), .host_threads = 2, .streams = streams};
      options.device.programmatic = device_can;
      const CudaExecutor executor(*file, packs, options);
      Machine machine;
      const std::vector<Machine::Work> works = recorded(executor, machine);
      Cuda cuda = executor.cuda();
      cuda.stream = &machine;
      PlannedNetwork<Cuda> network(*file, packs, cuda, options.network());
      const CudaMemory arena(MemoryKind::kDevice, network.arena_bytes());
      network.place(arena.data());
      std::ptrdiff_t expected = 0, cooperative = 0;
      for (int i = 1; i < network.order().end(); ++i) {
        MFS_REQUIRE_OK(network.steps()[static_cast<std::size_t>(i)].run(cuda));
        const std::vector<Machine::Work> kernels = machine.take_queue();
        const auto alone = std::ranges::count_if(kernels, [](const auto& w) { return w.shape.cooperative; });
        cooperative += alone;
        if (possible && network.order().stream(i) == 0 && network.order().awaits(i) == StreamOrder::kNothing)
          expected += std::ssize(kernels) - alone;
      }
      CHECK(std::ranges::count_if(works, [](const auto& w) { return w.shape.programmatic; }) == expected);
      CHECK_FALSE(works.front().shape.programmatic);
      if (streams == 1 && possible) CHECK(expected == std::ssize(works) - 1 - cooperative);
    }
}

TEST_CASE("of the Hopper family's results nobody has to make the sums that gates start from, and where they fit no map") {
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  PackCache packs;
  struct Case {
    ConvFamily family;
    int batch, multiprocessors, streams;
    bool fused;
  };
  for (const Case& k : {Case{ConvFamily::kPortable, 1, 132, 1, false}, Case{ConvFamily::kHopper, 1, 132, 1, true},
                        Case{ConvFamily::kHopper, 2, 132, 1, true}, Case{ConvFamily::kHopper, 2, 1, 1, false},
                        Case{ConvFamily::kHopper, 1, 132, 2, false}}) {
    CAPTURE(static_cast<int>(k.family));
    CAPTURE(k.batch);
    CAPTURE(k.multiprocessors);
    CAPTURE(k.streams);
    Machine machine;
    Cuda cuda{.stream = &machine, .multiprocessors = k.multiprocessors, .capability = 90, .convolutions = k.family};
    NetworkOptions options{64, 64, DType::kF16, 2, false, k.batch};
    options.streams = k.streams;
    PlannedNetwork<Cuda> network(*file, packs, cuda, options);
    const CudaMemory arena(MemoryKind::kDevice, network.arena_bytes());
    network.place(arena.data());
    for (const BoundStep<Cuda>& step : network.steps()) MFS_REQUIRE_OK(step.run(cuda));
    const std::vector<Machine::Work> works = machine.take_queue();
    const auto count = [&](const std::string& name) {
      return std::ranges::count_if(works, [&](const auto& w) { return w.shape.name == name; });
    };
    CHECK(count("squeeze_excite, scale") == (k.fused ? 0 : 3));
    CHECK(count("squeeze_excite") == (k.family == ConvFamily::kPortable ? 3 : 0));
    CHECK(std::ranges::count_if(works, [](const auto& w) { return w.shape.cooperative; }) == (k.fused ? 3 : 0));
  }
}

TEST_CASE("a convolution and the gate behind it stay apart where something else needs what is between") {
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  Machine machine;
  const Cuda cuda{.stream = &machine, .capability = 90, .convolutions = ConvFamily::kHopper};
  const auto fused_after = [&](const auto& change) {
    Lowered network = lower(build_network(*file, 64, 64), {.dtype = DType::kF16, .join_sources = true});
    add_sums(network, [&](const Conv& c) { return sum_parts(cuda, c); });
    const auto gate = std::ranges::find_if(
        network.ops, [](const LoweredOp& op) { return std::holds_alternative<SqueezeExciteStep>(op.step); });
    change(network, gate - network.ops.begin(), std::get<SqueezeExciteStep>(gate->step));
    fuse_gates(network, cuda);
    return std::ranges::count_if(network.ops,
                                 [](const LoweredOp& op) { return std::holds_alternative<ConvGateStep>(op.step); });
  };
  const auto pool_of = [](Lowered& network, const Place& src) {
    network.buffers.push_back(network.buffers[static_cast<std::size_t>(src.buffer)]);
    return LoweredOp{"pool", MaxPoolStep{src, {static_cast<int>(network.buffers.size()) - 1, 0, src.shape}, {}}};
  };
  CHECK(fused_after([](Lowered&, std::ptrdiff_t, const SqueezeExciteStep&) {}) == 3);
  CHECK(fused_after([&](Lowered& network, std::ptrdiff_t, const SqueezeExciteStep& gate) {
          network.ops.push_back(pool_of(network, gate.src));
        }) == 2);
  CHECK(fused_after([](Lowered& network, std::ptrdiff_t, const SqueezeExciteStep& gate) { network.output = gate.src; }) == 2);
  CHECK(fused_after([](Lowered&, std::ptrdiff_t, SqueezeExciteStep& gate) { gate.residual = gate.src; }) == 2);
  CHECK(fused_after([&](Lowered& network, std::ptrdiff_t at, const SqueezeExciteStep&) {
          network.ops.insert(network.ops.begin() + at, pool_of(network, network.input));
        }) == 2);
}

void check_orders(const CudaExecutor& executor, const std::vector<simt::emulation::Options>& orders) {
  Machine plain;
  const std::vector<double> expected = logit_of(executor, &plain);
  for (const simt::emulation::Options& order : orders) {
    Machine machine(order);
    CHECK(logit_of(executor, &machine) == expected);
  }
}

TEST_CASE("kernels that overlap compute the same bits in every order of events") {
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path), calibrated = WeightsFile::open(MFS_SMALL_WEIGHTS);
  PackCache packs, calibrated_packs;
  check_orders({*file, packs, {64, 64, DType::kF16, *hopper_device(), 2}}, {kReverse, kRandom});
  check_orders(
      {*calibrated, calibrated_packs, {64, 64, DType::kF16, *hopper_device(), 2, false, 1, &*calibrated->calibration()}},
      {kRandom});
}
#endif

TEST_CASE("two streams compute the bits of one, whatever runs first, and in a caller's graph, too") {
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  PackCache packs;
  CudaPlanOptions options{.height = 64, .width = 64, .device = hopper_device().value_or(device()), .host_threads = 2};
  const CudaExecutor one(*file, packs, options);
  options.streams = 2;
  const CudaExecutor two(*file, packs, options);
  const CudaStream stream;
  const Cuda cuda = stream.on(options.device);
  const std::vector<double> expected = logit_of(one, cuda.stream);
#if MFS_EMULATED
  // Of two kernels that no event orders, stream 0's comes first here, stream 1's in reverse.
  const long made = device_calls().streams_made + device_calls().events_made;
  CHECK(logit_of(two, cuda.stream, true) == expected);
  for (const simt::emulation::Options& order : {kReverse, kRandom}) {
    Machine machine(order);
    CHECK(logit_of(two, &machine) == expected);
  }
  CHECK(device_calls().streams_made + device_calls().events_made == made);
#else
  for (int repeat = 0; repeat < 50; ++repeat) CHECK(logit_of(two, cuda.stream, repeat % 2) == expected);
#endif
}

#if MFS_EMULATED
TEST_CASE("two streams compute the bits of one in int8, with narrow copies, sums and quantised values") {
  const auto file = WeightsFile::open(MFS_SMALL_WEIGHTS);
  PackCache packs;
  CudaPlanOptions options{.height = 64, .width = 64, .device = *hopper_device(), .host_threads = 2};
  options.calibration = &*file->calibration();
  const CudaExecutor one(*file, packs, options);
  options.streams = 2;
  const CudaExecutor two(*file, packs, options);
  const CudaStream stream;
  Machine machine(kRandom);
  CHECK(logit_of(two, &machine) == logit_of(one, stream.on(options.device).stream));
}
#endif

TEST_CASE("a mask is what the probability says, with any distance of rows") {
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  PackCache packs;
  CudaExecutor executor(*file, packs, {64, 64, DType::kBF16, device(), 2, false});
  const auto width = static_cast<std::size_t>(golden.width), height = static_cast<std::size_t>(golden.height);
  const std::size_t mask_stride = width + 7, row = 3 * width + 5;
  std::vector<std::uint8_t> photo(row * height), mask(mask_stride * height, 77);
  for (std::size_t y = 0; y < height; ++y) std::memcpy(&photo[y * row], &golden.pixels[y * 3 * width], 3 * width);
  std::vector<float> probability(width * height);
  RunRequest r = request_of(golden);
  r.image.data = photo.data(), r.image.row_stride = static_cast<std::int64_t>(row);
  r.mask = mask.data(), r.mask_stride = static_cast<std::int64_t>(mask_stride);
  r.probability = probability.data(), r.probability_stride = std::int64_t{golden.width} * 4;
  MFS_REQUIRE_OK(executor.run(r));
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x)
      CHECK(mask[y * mask_stride + x] == (probability[y * width + x] > r.threshold ? 255 : 0));
    for (std::size_t x = width; x < mask_stride; ++x) CHECK(mask[y * mask_stride + x] == 77);
  }
  CHECK(probability == probability_of(executor, golden));
}

TEST_CASE("photos arrive on the device whole, however many rows are copied at a time") {
  constexpr int kRows = 11, kBytes = 7, kStride = 10;
  std::vector<std::byte> photo(kRows * kStride);
  for (std::size_t i = 0; i < photo.size(); ++i) photo[i] = static_cast<std::byte>(i);
  const CudaStream stream;
  const Cuda cuda = stream.on(device());
  for (const int band : {1, 7, 20, 76, 77, 1000}) {
    CAPTURE(band);
    const CudaMemory there(MemoryKind::kDevice, kRows * kBytes), pinned(MemoryKind::kPinned, kRows * kBytes),
        back(MemoryKind::kPinned, kRows * kBytes);
    MFS_REQUIRE_OK(upload_rows(cuda, there.data(), pinned.data(), photo.data(), kStride, kBytes, kRows, band));
    MFS_REQUIRE_OK(copy_to_host(cuda, back.data(), there.data(), back.size()));
    MFS_REQUIRE_OK(wait(cuda));
    for (std::size_t i = 0; i < back.size(); ++i) CHECK(back.data()[i] == photo[i / kBytes * kStride + i % kBytes]);
  }
}

TEST_CASE("profiling runs every step by itself and changes nothing") {
  const GoldenNetwork golden("multi");
  const auto file = WeightsFile::open(golden.weights_path);
  PackCache packs;
  CudaExecutor executor(*file, packs, {64, 64, DType::kF16, device(), 2, false});
  const std::vector<float> plain = probability_of(executor, golden);
  executor.set_profiling(true);
  CHECK(probability_of(executor, golden) == plain);
  for (std::size_t i = 0; i < executor.steps().size(); ++i) CHECK(executor.step_microseconds(i) > 0);
}

}  // namespace
}  // namespace mfs::core::test
