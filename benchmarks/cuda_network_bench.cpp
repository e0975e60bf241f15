// mfs_cuda_network_bench: the network on a GPU. Kernels alone in the CUDA graph, one tap to its mask with all copies, and every
// step by itself with what it reaches of the device's bandwidth and arithmetic.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "benchmarks/support/graph_turns.h"
#include "kernels/error.h"
#include "runtime/cuda_executor.h"

namespace mfs::bench {
namespace {

using namespace mfs::core;  // NOLINT: benchmarks are about nothing else
using Json = nlohmann::ordered_json;

struct Options {
  std::string weights, precision = "f16", json;
  std::vector<int> size, photo{4000, 3000};  // width, height
  int repeat = 200, clicks = 200, batch = 1, streams = 1;
  bool steps = false;
};

// A photo of no particular content in host memory, and the requests to run it, as many as a batch has.
struct Photo {
  Photo(const std::vector<int>& size, int batch)
      : pixels(static_cast<std::size_t>(std::int64_t{size[0]} * size[1] * 3)),
        mask(pixels.size() / 3),
        tap{static_cast<float>(size[0] / 2), static_cast<float>(size[1] / 2)} {
    std::uint32_t state = 1;
    for (std::uint8_t& p : pixels) p = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
    request.image = {pixels.data(), size[0], size[1], std::int64_t{size[0]} * 3, PixelFormat::kRgb};
    request.taps = {&tap, 1};
    request.mask = mask.data(), request.mask_stride = size[0];
    requests.assign(static_cast<std::size_t>(batch), request);
  }

  std::vector<std::uint8_t> pixels, mask;
  Point tap;
  RunRequest request;
  std::vector<RunRequest> requests;
};

Spread click_to_mask(CudaExecutor& executor, const Options& o) {
  const Photo photo(o.photo, o.batch);
  std::vector<double> samples;
  constexpr int kWarmUp = 5;
  for (int i = 0; i < kWarmUp + o.clicks; ++i) {
    const auto start = std::chrono::steady_clock::now();
    require(executor.run(photo.requests));
    if (i >= kWarmUp)
      samples.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  return spread_of(samples);
}

// Every step on its own, many times in a row in a graph: launches are hidden, and weights and activations stay in the cache
// where they fit, which a whole pass through the network does not grant the weights.
Json step_table(const WeightsFile& file, PackCache& packs, const CudaPlanOptions& plan) {
  constexpr int kInARow = 20, kRounds = 9;
  const CudaStream stream;
  const Cuda cuda = stream.on(plan.device);
  PlannedNetwork<Cuda> network(file, packs, cuda, plan.network());
  const CudaMemory arena(MemoryKind::kDevice, network.arena_bytes());
  network.place(arena.data());
  // Numbers of a real pass: what tensor cores draw depends on them.
  const MutView input = network.input();
  const std::vector<std::uint16_t> halves(static_cast<std::size_t>(input.shape.elements()), 0x3800);
  require(upload(input.data, halves.data(), halves.size() * 2));
  for (const BoundStep<Cuda>& step : network.steps()) require(step.run(cuda));
  require(wait(cuda));

  const CudaGraph plain(cuda, [&] {
    for (const BoundStep<Cuda>& step : network.steps())
      if (Status status = step.run(cuda); !status) return status;
    return Status{};
  });
  const Spread graph = timed(cuda, 20 * kRounds, {[&] { return plain.launch(cuda); }}).front();
  std::printf("kernels in a graph, launched plainly: median %.1f us, p99 %.1f us\n", graph.median, graph.p99);

  Json rows = Json::array();
  std::printf("%-44s %-40s %-22s %8s %8s %8s\n", "step", "operation", "algorithm", "us", "GB/s", "TFLOP/s");
  double sum = 0;
  for (std::size_t i = 0; i < network.steps().size(); ++i) {
    const BoundStep<Cuda>& step = network.steps()[i];
    for (std::size_t before = 0; before < i; ++before) require(network.steps()[before].run(cuda));  // what it reads
    const CudaGraph in_a_row(cuda, [&] {
      for (int k = 0; k < kInARow; ++k)
        if (Status status = step.run(cuda); !status) return status;
      return Status{};
    });
    const Spread spread = timed(cuda, kRounds, {[&] { return in_a_row.launch(cuda); }}).front();
    const double us = spread.median / kInARow,
                 bytes = static_cast<double>(step.info.cost.bytes_read + step.info.cost.bytes_written);
    const double flops = static_cast<double>(step.info.cost.flops);
    sum += us;
    std::printf("%-44.44s %-40.40s %-22s %8.2f %8.0f %8.1f\n", step.info.name.c_str(), step.info.operation.c_str(),
                step.info.algorithm.c_str(), us, bytes / us * 1e-3, flops / us * 1e-6);
    rows.push_back({{"step", step.info.name},
                    {"operation", step.info.operation},
                    {"algorithm", step.info.algorithm},
                    {"us", us},
                    {"bytes", bytes},
                    {"flops", flops}});
  }
  std::printf("sum of the steps alone: %.1f us\n", sum);
  return rows;
}

int run(int argc, char** argv) {
  CLI::App app{"The network on a GPU: kernels alone in the CUDA graph, one tap to its mask, every step"};
  Options o;
  app.add_option("--weights", o.weights, "weights file")->required()->check(CLI::ExistingFile);
  app.add_option("--precision", o.precision, "f16 or bf16; int8 or fp8 on a Hopper GPU, with calibrated weights")
      ->check(CLI::IsMember({"f16", "bf16", "int8", "fp8"}))
      ->capture_default_str();
  app.add_option("--size", o.size, "network size WxH; default the weights'")->delimiter('x')->expected(2);
  app.add_option("--photo", o.photo, "photo size WxH")->delimiter('x')->expected(2);
  app.add_option("--repeat", o.repeat, "runs of the graph")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--clicks", o.clicks, "runs from a tap to its mask")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--batch", o.batch, "photos per run")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--streams", o.streams,
                 "2: what can run beside the longest chain of steps does; one stream is timed beside it")
      ->check(CLI::Range(1, 2))
      ->capture_default_str();
  app.add_flag("--steps", o.steps, "time every step by itself");
  app.add_option("--json", o.json, "file for all figures");
  CLI11_PARSE(app, argc, argv);

  std::string why_none;
  const std::vector<CudaDeviceInfo> devices = cuda_devices(why_none);
  if (devices.empty()) throw Error(Code::kNoDevice, why_none);
  const auto file = WeightsFile::open(o.weights);
  const PreprocessDescription& p = file->preprocess();
  CudaPlanOptions plan{.height = o.size.empty() ? p.height : o.size[1],
                       .width = o.size.empty() ? p.width : o.size[0],
                       .dtype = o.precision == "bf16" ? DType::kBF16 : DType::kF16,
                       .device = devices.front(),
                       .host_threads = 4,
                       .batch = o.batch,
                       .streams = o.streams,
                       .keep_input = true};
  if (o.precision == "int8" || o.precision == "fp8") {
    if (!file->calibration()) throw Error(Code::kUnsupported, o.weights + " is not calibrated; mfs_calibrate does that");
    plan.calibration = &*file->calibration(), plan.narrow = o.precision == "int8" ? DType::kU8 : DType::kE4m3;
  }
  PackCache packs;
  CudaExecutor executor(*file, packs, plan);
  require(executor.run(Photo(o.photo, o.batch).requests));  // the input that the graph is timed with
  const Cuda cuda = executor.cuda();
  std::vector<Queue> queues(static_cast<std::size_t>(o.streams));
  queues.front() = [&] { return executor.queue_infer(cuda); };
  std::optional<CudaExecutor> peer;  // of two streams
  if (o.streams == 2) {
    plan.streams = 1;
    peer.emplace(*file, packs, plan);
    require(peer->run(Photo(o.photo, o.batch).requests));
    queues.back() = [&] { return peer->queue_infer(cuda); };
  }
  const std::vector<Spread> graphs = timed(cuda, o.repeat, queues);
  const Spread &graph = graphs.front(), &one_stream = graphs.back();

  // Said and kept as soon as it is known: a time limit may end the rest.
  const CudaDeviceInfo& d = plan.device;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("%s, %d SMs, capability %d.%d; %s %dx%d, batch %d\n", d.name.c_str(), d.multiprocessors, d.capability / 10,
              d.capability % 10, o.precision.c_str(), plan.width, plan.height, o.batch);
  std::printf("kernels in the graph: median %.1f us, p99 %.1f us\n", graph.median, graph.p99);
  Json report{{"device", d.name},      {"precision", o.precision}, {"batch", o.batch},         {"width", plan.width},
              {"height", plan.height}, {"graph_us", graph.median}, {"graph_p99_us", graph.p99}};
  if (o.streams == 2) {
    std::printf("kernels in the graph on one stream: median %.1f us, p99 %.1f us; on two %.3f times as fast\n",
                one_stream.median, one_stream.p99, one_stream.median / graph.median);
    report["one_stream_graph_us"] = one_stream.median, report["one_stream_graph_p99_us"] = one_stream.p99;
  }
  const auto keep = [&] {
    if (!o.json.empty()) std::ofstream(o.json) << report.dump(1) << "\n";
  };
  keep();
  if (o.clicks > 0) {
    const Spread click = click_to_mask(executor, o);
    std::printf("tap to mask, %dx%d photo, all copies: median %.1f us, p99 %.1f us\n", o.photo[0], o.photo[1], click.median,
                click.p99);
    report["click_us"] = click.median, report["click_p99_us"] = click.p99;
    keep();
  }
  if (o.steps) report["steps"] = step_table(*file, packs, plan);
  keep();
  return 0;
}

}  // namespace
}  // namespace mfs::bench

int main(int argc, char** argv) {
  try {
    return mfs::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mfs_cuda_network_bench: %s\n", e.what());
    return 1;
  }
}
