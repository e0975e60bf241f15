// Every distinct convolution of resnet-multi at 512x512 (network.md, section 2), next to oneDNN alone.
#include "kernels/conv.h"

#include <sstream>
#include <vector>

#include "benchmarks/support/bench.h"
#include "benchmarks/support/onednn_conv.h"

namespace mfs::bench {
namespace {

struct Case {
  const char* name;
  int cin, size, cout, kernel = 1, stride = 1, dilation = 1;
  bool residual = false, relu = true;
};

constexpr Case kCases[] = {
    {"conv1", 4, 512, 64, 7, 2},
    {"layer1.0.conv1", 64, 128, 64},
    {"layer1.*.conv2", 64, 128, 64, 3},
    {"layer1.*.conv3", 64, 128, 256, 1, 1, 1, true},
    {"layer1.0.downsample", 64, 128, 256, 1, 1, 1, false, false},
    {"layer1.1-2.conv1", 256, 128, 64},
    {"layer2.0.conv1", 256, 128, 128, 1, 2},
    {"layer2.*.conv2", 128, 64, 128, 3},
    {"layer2.*.conv3", 128, 64, 512, 1, 1, 1, true},
    {"layer2.0.downsample", 256, 128, 512, 1, 2, 1, false, false},
    {"layer2.1-3.conv1", 512, 64, 128},
    {"layer3.0.conv1", 512, 64, 256},
    {"layer3.*.conv2", 256, 64, 256, 3, 1, 2},
    {"layer3.*.conv3", 256, 64, 1024, 1, 1, 1, true},
    {"layer3.0.downsample", 512, 64, 1024, 1, 1, 1, false, false},
    {"layer3.1-22.conv1", 1024, 64, 256},
    {"layer4.0.conv1", 1024, 64, 512},
    {"layer4.*.conv2", 512, 64, 512, 3, 1, 4},
    {"layer4.*.conv3", 512, 64, 2048, 1, 1, 1, true},
    {"layer4.0.downsample", 1024, 64, 2048, 1, 1, 1, false, false},
    {"layer4.1-2.conv1", 2048, 64, 512},
    {"init.0", 4, 512, 256, 7, 2},
    {"fusion.0-1.conv1-2", 256, 128, 256, 3},
    {"fusion.2.conv1", 256, 128, 256, 3, 2},
    {"fusion.2.conv2", 256, 64, 256, 3},
    {"fusion.2.downsample", 256, 128, 256, 1, 2, 1, false, false},
    {"layer5.stages.0.1", 2304, 1, 576},
    {"layer5.stages.1.1", 2304, 2, 576},
    {"layer5.stages.2.1", 2304, 3, 576},
    {"layer5.stages.3.1", 2304, 6, 576},
    {"layer5.bottleneck.0", 4608, 64, 512},
    {"layer5.final", 512, 64, 1, 1, 1, 1, false, false},
};

Conv problem_of(const Case& c, DType dtype) {
  const int pad = c.dilation * (c.kernel / 2), size = conv_size(c.size, c.kernel, c.stride, c.dilation, pad);
  return {.src = {1, c.size, c.size, c.cin},
          .dst = {1, size, size, c.cout},
          .kernel = c.kernel,
          .stride = c.stride,
          .dilation = c.dilation,
          .pad = pad,
          .dtype = dtype,
          .residual = c.residual,
          .relu = c.relu};
}

void run_case(benchmark::State& state, const Conv& problem) {
  const Cpu cpu = settings().cpu;
  const std::vector<float> weights(static_cast<std::size_t>(problem.dst.c) * problem.src.c * problem.kernel * problem.kernel,
                                   0.01f);
  const std::vector<float> bias(static_cast<std::size_t>(problem.dst.c), 0.1f);
  const auto conv = prepare(cpu, problem, weights.data(), bias.data());
  const AlignedBuffer scratch(conv->scratch_bytes());
  RotatingTensor src(problem.src, problem.dtype), dst(problem.dst, problem.dtype);
  const OneDnnConv peer(cpu, problem);
  const auto elements = [&](std::size_t bytes) { return static_cast<std::int64_t>(bytes / size_of(problem.dtype)); };
  RotatingBuffer peer_src(elements(peer.src_bytes()), problem.dtype), peer_dst(elements(peer.dst_bytes()), problem.dtype);
  // Both stay on one set of tensors: in the network, too, the source was written just before.
  const View from = src.next();
  const MutView to = dst.next();
  std::byte *peer_from = peer_src.next(), *peer_to = peer_dst.next();
  measure_against(
      state, cost(problem), problem.dtype,
      [&] {
        return conv->run(cpu, {from, problem.residual ? View(to) : View(), {}, to, scratch.data()});
      },
      [&] { peer.run(peer_from, peer_to); });
}

std::string text(const Case& c) {
  std::ostringstream s;
  s << c.name << " " << c.kernel << "x" << c.kernel;
  if (c.stride > 1) s << "/" << c.stride;
  if (c.dilation > 1) s << " d" << c.dilation;
  s << " " << c.cin << "->" << c.cout << " @" << c.size;
  return s.str();
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    if (!has_conv(Cpu{}, dtype)) continue;
    for (const Case& c : kCases) {
      const Conv problem = problem_of(c, dtype);
      add("conv " + text(c) + " " + name_of(dtype), [=](benchmark::State& state) { run_case(state, problem); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
