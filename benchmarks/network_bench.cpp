// mfs_network_bench: one tap to its mask through the public interface, next to the network's convolutions timed alone with
// oneDNN. The figure to watch is the ratio of the two: everything that is not a convolution should cost next to nothing.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "benchmarks/support/bench.h"
#include "benchmarks/support/onednn_conv.h"
#include "layers/network.h"
#include "mfs/mfs.hpp"
#include "runtime/aligned_buffer.h"
#include "runtime/quantisation.h"

namespace mfs::bench {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string weights;
  std::vector<std::string> precisions;  // empty: all this processor has
  int threads = 2, repeat = 15;
  std::vector<int> size, photo{1280, 960};  // width, height
  bool json = false, on_request = false;
};

// Convolutions that the engine computes in int8, by name, and in what type it keeps their results. The file is calibrated.
std::map<std::string, DType> int8_convolutions(const WeightsFile& file, const Graph& graph) {
  Lowered network = lower(graph, {});
  quantise(network, *file.calibration(), {});
  const auto type_of = [&](const Place& p) { return network.buffers[static_cast<std::size_t>(p.buffer)].dtype; };
  std::map<std::string, DType> result;
  for (const LoweredOp& op : network.ops)
    if (const auto* conv = std::get_if<ConvStep>(&op.step); conv && type_of(conv->src) == DType::kU8)
      result[op.name] = type_of(conv->dst);
  return result;
}

// The network's convolutions as it states them, before any planning: no rewriting, no fusion. In int8 those that the engine
// computes in int8, the others in f32.
std::vector<Conv> convolutions(const WeightsFile& file, int height, int width, const std::string& precision) {
  const Graph graph = build_network(file, height, width);
  std::map<std::string, DType> int8;
  if (precision == "int8") int8 = int8_convolutions(file, graph);
  std::vector<Conv> result;
  for (const Op& op : graph.ops) {
    if (op.kind != OpKind::kConv) continue;
    Conv c{.src = graph.at(op.inputs[0]).shape, .dst = op.shape};
    c.kernel = op.window.kernel, c.stride = op.window.stride, c.dilation = op.window.dilation, c.pad = op.window.pad;
    if (precision == "bf16") c.dtype = DType::kBF16;
    if (const auto found = int8.find(op.tensors); found != int8.end()) {
      c.dtype = DType::kU8, c.src_scale = 1;
      if (found->second == DType::kU8) c.dst_scale = 1;
    }
    result.push_back(c);
  }
  return result;
}

// All of them, with weights of their own and activations in shared memory.
class Alone {
 public:
  Alone(const Cpu& cpu, const std::vector<Conv>& problems) {
    std::size_t src = 0, dst = 0;
    for (const Conv& c : problems) {
      convs_.emplace_back(cpu, c);
      src = std::max(src, convs_.back().src_bytes()), dst = std::max(dst, convs_.back().dst_bytes());
      gmac_ += static_cast<double>(c.dst.elements()) * c.src.c * c.kernel * c.kernel * 1e-9;
    }
    // Small numbers whichever of the types reads them; bytes are any.
    const DType type = problems.front().dtype;
    src_.emplace(cpu, static_cast<std::int64_t>(src / size_of(type)), type);
    dst_ = AlignedBuffer(dst);
    src_data_ = src_->next();
  }

  // One after another, as a network would run them: the weights come from memory.
  double pass() const {
    const double begin = seconds_now();
    for (const OneDnnConv& c : convs_) c.run(src_data_, dst_.data());
    return seconds_now() - begin;
  }

  // Each one repeated on its own, so that its weights stay in the cache where they fit: the sum of the medians.
  double repeated(int repeat) const {
    double sum = 0;
    for (const OneDnnConv& c : convs_) {
      c.run(src_data_, dst_.data());
      std::vector<double> seconds;
      for (int i = 0; i < repeat; ++i) {
        const double begin = seconds_now();
        c.run(src_data_, dst_.data());
        seconds.push_back(seconds_now() - begin);
      }
      sum += median(seconds);
    }
    return sum;
  }

  double gmac() const { return gmac_; }
  std::size_t count() const { return convs_.size(); }

 private:
  std::vector<OneDnnConv> convs_;
  std::optional<RotatingBuffer> src_;
  AlignedBuffer dst_;
  std::byte* src_data_ = nullptr;
  double gmac_ = 0;
};

// A model, a session and a photo of noise with a tap in its middle.
class Clicker {
 public:
  Clicker(const Options& o, const std::string& precision)
      : model_(o.weights, {.device = "cpu", .precision = precision, .threads = o.threads}),
        session_(model_, {.network_width = o.size.empty() ? 0 : o.size[0], .network_height = o.size.empty() ? 0 : o.size[1]}),
        width_(o.photo[0]),
        height_(o.photo[1]),
        photo_(Cpu{o.threads}, std::int64_t{3} * width_ * height_, DType::kU8),
        mask_(static_cast<std::size_t>(width_) * height_) {
    for (int i = 0; i < 3; ++i) click();
  }

  // Wall time of a run, in seconds.
  double click() {
    const Image image{reinterpret_cast<const std::uint8_t*>(photo_.next()), width_, height_, 0, MFS_RGB};
    const mfs::Point tap{static_cast<float>(width_) / 2, static_cast<float>(height_) / 2};
    mfs_outputs outputs{};
    outputs.struct_size = sizeof outputs;
    outputs.mask = mask_.data();
    const double begin = seconds_now();
    session_.run(image, {&tap, 1}, outputs);
    return seconds_now() - begin;
  }

  Json timings() const {
    const Timings t = session_.timings();
    return {{"prepare", t.prepare}, {"infer", t.infer}, {"finish", t.finish}};
  }
  ModelInfo info() const { return model_.info(); }

 private:
  Model model_;
  Session session_;
  int width_, height_;
  RotatingBuffer photo_;
  std::vector<std::uint8_t> mask_;
};

struct Spread {
  double least, middle;
};
Spread spread_ms(const std::vector<double>& seconds) {
  return {*std::min_element(seconds.begin(), seconds.end()) * 1e3, median(seconds) * 1e3};
}

void compare(const Options& o, const std::string& precision) {
  Clicker clicker(o, precision);
  const ModelInfo info = clicker.info();
  const int width = o.size.empty() ? info.network_width : o.size[0];
  const int height = o.size.empty() ? info.network_height : o.size[1];
  const Alone alone(Cpu{o.threads}, convolutions(*WeightsFile::open(o.weights), height, width, precision));
  alone.pass();
  // Turn by turn, so that both see the same state of the machine.
  std::vector<double> clicks, infers, passes;
  for (int i = 0; i < o.repeat; ++i) {
    clicks.push_back(clicker.click());
    infers.push_back(clicker.timings()["infer"].get<double>() * 1e-3);
    passes.push_back(alone.pass());
  }
  const Spread click = spread_ms(clicks), infer = spread_ms(infers), pass = spread_ms(passes);
  const double repeated = alone.repeated(std::max(3, o.repeat / 3)) * 1e3;
  if (o.json) {
    const auto pair = [](const Spread& s) { return Json{{"min", s.least}, {"median", s.middle}}; };
    std::cout << Json{{"variant", info.variant},
                      {"precision", precision},
                      {"threads", o.threads},
                      {"size", {width, height}},
                      {"click_to_mask_ms", pair(click)},
                      {"infer_ms", pair(infer)},
                      {"convolutions_ms", pair(pass)},
                      {"convolutions_repeated_ms", repeated},
                      {"ratio", click.middle / pass.middle},
                      {"ratio_repeated", click.middle / repeated}}
              << std::endl;
    return;
  }
  std::printf("%s %s at %dx%d, photo %dx%d\n", info.variant, precision.c_str(), width, height, o.photo[0], o.photo[1]);
  std::printf("  %-58s %9s %9s\n", "ms", "min", "median");
  std::printf("  %-58s %9.2f %9.2f\n", "click to mask", click.least, click.middle);
  std::printf("  %-58s %9.2f %9.2f\n", "  of it the network", infer.least, infer.middle);
  const std::string what = std::to_string(alone.count()) + " convolutions";
  std::printf("  %-58s %9.2f %9.2f  (%.1f G multiply-adds, %.0f GFLOP/s)\n", (what + " alone with oneDNN, in turn").c_str(),
              pass.least, pass.middle, alone.gmac(), 2e3 * alone.gmac() / pass.middle);
  std::printf("  %-58s %9s %9.2f\n", (what + " alone, each repeated (warm weights)").c_str(), "", repeated);
  std::printf("  click to mask / convolutions alone: %.3f in turn, %.3f repeated\n\n", click.middle / pass.middle,
              click.middle / repeated);
}

// One run and one line of its milliseconds for every line read: lets a script take turns between engines.
void serve(const Options& o) {
  Clicker clicker(o, o.precisions.front());
  for (std::string line; std::getline(std::cin, line);) {
    const double seconds = clicker.click();
    Json answer = clicker.timings();
    answer["click_to_mask"] = seconds * 1e3;
    std::cout << answer << std::endl;
  }
}

int run(int argc, char** argv) {
  CLI::App app{"One tap to its mask, next to the network's convolutions alone"};
  Options o;
  app.add_option("--weights", o.weights, "weights file")->required()->check(CLI::ExistingFile);
  app.add_option("--precision", o.precisions, "f32, bf16, int8 or several [what the processor has; int8 if calibrated]")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}));
  app.add_option("--threads", o.threads, "threads of either side")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--repeat", o.repeat, "runs")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--size", o.size, "network size WxH; default the weights'")->delimiter('x')->expected(2);
  app.add_option("--photo", o.photo, "photo size WxH")->delimiter('x')->expected(2);
  app.add_flag("--json", o.json, "one JSON line per precision");
  app.add_flag("--on-request", o.on_request, "a run and a JSON line for every line on standard input");
  CLI11_PARSE(app, argc, argv);
  if (o.precisions.empty()) {
    o.precisions = {"f32"};
    if (has_conv(Cpu{}, DType::kBF16)) o.precisions.push_back("bf16");
    if (WeightsFile::open(o.weights)->calibration()) o.precisions.push_back("int8");
  }
  if (o.on_request) return serve(o), 0;
  settings().cpu.threads = o.threads;
  settings().card = measure_device(settings().cpu);
  if (!o.json) std::printf("%s\n", to_string(settings().card).c_str());
  for (const std::string& precision : o.precisions) compare(o, precision);
  return 0;
}

}  // namespace
}  // namespace mfs::bench

int main(int argc, char** argv) {
  try {
    return mfs::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mfs_network_bench: %s\n", e.what());
    return 1;
  }
}
