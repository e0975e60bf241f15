// Every distinct convolution of resnet-multi at 512x512, next to a vendor's library.
#include "kernels/conv.h"

#include <sstream>
#include <vector>

#include "benchmarks/support/conv_case.h"

namespace mfs::bench {
namespace {

struct Case {
  const char* name;
  int cin, size, cout, kernel = 1, stride = 1, dilation = 1;
  bool residual = false, relu = true;
  int count = 1;  // in the network
};

constexpr Case kCases[] = {
    {"conv1", 4, 512, 64, 7, 2},
    {"layer1.0.conv1", 64, 128, 64},
    {"layer1.*.conv2", 64, 128, 64, 3, 1, 1, false, true, 3},
    {"layer1.*.conv3", 64, 128, 256, 1, 1, 1, true, true, 3},
    {"layer1.0.downsample", 64, 128, 256, 1, 1, 1, false, false},
    {"layer1.1-2.conv1", 256, 128, 64, 1, 1, 1, false, true, 2},
    {"layer2.0.conv1", 256, 128, 128, 1, 2},
    {"layer2.*.conv2", 128, 64, 128, 3, 1, 1, false, true, 4},
    {"layer2.*.conv3", 128, 64, 512, 1, 1, 1, true, true, 4},
    {"layer2.0.downsample", 256, 128, 512, 1, 2, 1, false, false},
    {"layer2.1-3.conv1", 512, 64, 128, 1, 1, 1, false, true, 3},
    {"layer3.0.conv1", 512, 64, 256},
    {"layer3.*.conv2", 256, 64, 256, 3, 1, 2, false, true, 23},
    {"layer3.*.conv3", 256, 64, 1024, 1, 1, 1, true, true, 23},
    {"layer3.0.downsample", 512, 64, 1024, 1, 1, 1, false, false},
    {"layer3.1-22.conv1", 1024, 64, 256, 1, 1, 1, false, true, 22},
    {"layer4.0.conv1", 1024, 64, 512},
    {"layer4.*.conv2", 512, 64, 512, 3, 1, 4, false, true, 3},
    {"layer4.*.conv3", 512, 64, 2048, 1, 1, 1, true, true, 3},
    {"layer4.0.downsample", 1024, 64, 2048, 1, 1, 1, false, false},
    {"layer4.1-2.conv1", 2048, 64, 512, 1, 1, 1, false, true, 2},
    {"init.0", 4, 512, 256, 7, 2},
    {"fusion.0-1.conv1-2", 256, 128, 256, 3, 1, 1, false, true, 4},
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

Conv problem_of(const Case& c, const Variant& v) {
  const int pad = c.dilation * (c.kernel / 2), size = conv_size(c.size, c.kernel, c.stride, c.dilation, pad);
  const bool narrow = is_narrow(v.dtype);  // sums with a shortcut are wide
  return {.src = {v.batch, c.size, c.size, c.cin},
          .dst = {v.batch, size, size, c.cout},
          .kernel = c.kernel,
          .stride = c.stride,
          .dilation = c.dilation,
          .pad = pad,
          .dtype = v.dtype,
          .residual = c.residual,
          .relu = c.relu,
          .src_scale = narrow ? 0.1f : 0,
          .dst_scale = narrow && !c.residual ? 0.1f : 0};
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
  std::vector<Variant> variants(std::begin(kVariants), std::end(kVariants));
  variants.insert(variants.end(), std::begin(kNarrowVariants), std::end(kNarrowVariants));
  for (const Variant& v : variants)
    for (const Case& c : kCases) {
      const Conv problem = problem_of(c, v);
      const auto possible = [problem](const auto& device) { return can_measure(device, problem); };
      add(
          "conv " + text(c), v, [=, count = c.count](auto& bench) { measure_conv(bench, problem, count); }, possible);
    }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
