#include "runtime/fold.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

constexpr double kBatchNormEps = 1e-5;

}  // namespace

std::vector<float> read_all(const WeightsFile& file, const std::string& name) {
  const StoredTensor* t = file.find(name);
  if (!t) return {};
  std::vector<float> values(static_cast<std::size_t>(t->elements));
  const auto loaded = file.load(*t);
  t->read(values.data());
  return values;
}

void fold(const WeightsFile& file, const Filters& f, const Cpu& cpu, float* weights, float* bias) {
  const auto out = static_cast<std::size_t>(f.out);
  std::vector<double> scale(out, 1.0), shift(out, 0.0);
  if (f.shift)
    if (const auto conv_bias = read_all(file, f.conv + ".bias"); !conv_bias.empty())
      for (std::size_t o = 0; o < out; ++o) shift[o] = conv_bias[o];
  if (!f.norm.empty()) {
    const auto gamma = read_all(file, f.norm + ".weight"), beta = read_all(file, f.norm + ".bias");
    const auto mean = read_all(file, f.norm + ".running_mean"), variance = read_all(file, f.norm + ".running_var");
    for (std::size_t o = 0; o < out; ++o) {
      scale[o] = double{gamma[o]} / std::sqrt(double{variance[o]} + kBatchNormEps);
      if (f.shift) shift[o] = (shift[o] - double{mean[o]}) * scale[o] + double{beta[o]};
    }
  }
  const StoredTensor& tensor = *file.find(f.conv + ".weight");
  const std::int64_t row = tensor.elements / f.out, per_channel = tensor.dims[2] * tensor.dims[3];
  const std::int64_t skip = f.first_in * per_channel, used = f.in * per_channel;
  std::vector<float> rows(static_cast<std::size_t>(row * std::max(cpu.threads, 1)));
  const auto loaded = file.load(tensor);
  parallel_ranges(cpu, f.out, [&](std::int64_t begin, std::int64_t end, int thread) {
    float* values = rows.data() + row * thread;
    for (std::int64_t o = begin; o < end; ++o) {
      tensor.read_rows(o, 1, values);
      const double s = scale[static_cast<std::size_t>(o)];
      for (std::int64_t i = 0; i < used; ++i) weights[o * used + i] = static_cast<float>(values[skip + i] * s);
    }
  });
  for (std::size_t o = 0; o < out; ++o) bias[o] = static_cast<float>(shift[o]);
}

std::vector<float> read_by_tap(const WeightsFile& file, const std::string& name) {
  const std::vector<float> values = read_all(file, name);
  std::vector<float> by_tap(values.size());
  const std::vector<std::int64_t>& dims = file.find(name)->dims;
  const auto taps = static_cast<std::size_t>(dims[2] * dims[3]), filters = values.size() / taps;
  for (std::size_t f = 0; f < filters; ++f)
    for (std::size_t t = 0; t < taps; ++t) by_tap[t * filters + f] = values[f * taps + t];
  return by_tap;
}

}  // namespace mfs::core
