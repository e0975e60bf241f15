// mfs_latency_bench: how even the latency of one tap is, from photo to mask, through the public interface: median and 99th
// percentile of runs one after the other, after a warm-up. On a busy machine it measures the machine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "mfs/mfs.hpp"

int main(int argc, char** argv) try {
  CLI::App app{"Latency of one tap, photo to mask: median, 99th percentile and their ratio"};
  std::string weights;
  mfs::ModelOptions options;
  std::vector<int> photo_size{1600, 1200};
  int runs = 1000;
  app.add_option("--weights", weights, "weights file")->required()->check(CLI::ExistingFile);
  app.add_option("--device", options.device, "as in mfs_infer")->capture_default_str();
  app.add_option("--precision", options.precision, "as in mfs_infer")->capture_default_str();
  app.add_option("--threads", options.threads, "0 = all")->capture_default_str();
  app.add_option("--photo", photo_size, "photo size WxH")->delimiter('x')->expected(2)->check(CLI::PositiveNumber);
  app.add_option("--runs", runs, "runs that count")->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const int width = photo_size[0], height = photo_size[1];
  const mfs::Model model(weights, options);
  mfs::Session session(model, {.max_width = width, .max_height = height});
  session.warm_up(width, height);
  std::vector<std::uint8_t> rgb(std::size_t(width) * height * 3), mask(rgb.size() / 3);
  std::uint32_t state = 1;
  for (std::uint8_t& v : rgb) v = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  const mfs::Image photo{rgb.data(), width, height, 0, MFS_RGB};
  const mfs::Point tap{static_cast<float>(width) / 2, static_cast<float>(height) / 2};
  mfs_outputs outputs{};
  outputs.struct_size = sizeof outputs;
  outputs.mask = mask.data();

  std::vector<double> milliseconds;
  for (int i = -runs / 20; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    session.run(photo, {&tap, 1}, outputs);
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    if (i >= 0) milliseconds.push_back(taken.count());
  }
  std::ranges::sort(milliseconds);
  const double median = milliseconds[milliseconds.size() / 2], p99 = milliseconds[milliseconds.size() * 99 / 100];
  const mfs::ModelInfo info = model.info();
  std::printf("%s, %s, %s, %d threads, %dx%d photo, %d runs: median %.2f ms, p99 %.2f ms, p99/median %.3f\n", info.variant,
              info.device, info.precision, info.threads, width, height, runs, median, p99, p99 / median);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "mfs_latency_bench: %s\n", e.what());
  return 1;
}
