#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <span>

#include "benchmarks/support/conv_case.h"
#include "benchmarks/support/conv_peer.h"
#include "kernels/bfloat16.h"
#include "kernels/cuda/device.h"
#include "kernels/error.h"
#include "kernels/float16.h"

namespace mfs::bench {
namespace {

constexpr int kChoices = 8;  // of a library's heuristics, each tried before the best is measured

// The problem's parameters in f32 and as the libraries want them.
struct Filters {
  std::vector<float> weights, bias;                  // (cout, cin, kernel, kernel)
  std::vector<std::byte> channels_last, bias_bytes;  // (cout, kernel, kernel, cin), of the problem's type unless that is narrow

  explicit Filters(const Conv& c) {
    const std::int64_t taps = std::int64_t{c.kernel} * c.kernel, cin = c.src.c, all = c.dst.c * taps * cin;
    const std::vector<std::byte> random = random_elements(all, DType::kF32);
    const auto* const values = reinterpret_cast<const float*>(random.data());
    const float scale = 1 / std::sqrt(static_cast<float>(taps * cin));
    for (std::int64_t i = 0; i < all; ++i) weights.push_back(scale * values[i]);
    for (int i = 0; i < c.dst.c; ++i) bias.push_back(values[i % all]);
    if (is_narrow(c.dtype)) return;
    std::vector<float> moved;
    moved.reserve(weights.size());
    for (std::int64_t o = 0; o < c.dst.c; ++o)
      for (std::int64_t tap = 0; tap < taps; ++tap)
        for (std::int64_t i = 0; i < cin; ++i) moved.push_back(weights[static_cast<std::size_t>((o * cin + i) * taps + tap)]);
    channels_last = rounded(moved, c.dtype), bias_bytes = rounded(bias, c.dtype);
  }

 private:
  static std::vector<std::byte> rounded(const std::vector<float>& values, DType dtype) {
    std::vector<std::uint16_t> bits;
    bits.reserve(values.size());
    for (const float v : values) bits.push_back(dtype == DType::kF16 ? Float16(v).bits : BFloat16(v).bits);
    const auto bytes = std::as_bytes(std::span(bits));
    return {bytes.begin(), bytes.end()};
  }
};

// Several packed copies of the weights, so that all sets of tensors and weights together exceed the L2 like everything else.
class OwnConvs {
 public:
  OwnConvs(const Cuda& cuda, const Conv& problem, const Filters& filters) {
    const Cost all = cost(problem);
    const auto wanted =
        static_cast<std::int64_t>(kCacheMultiple * settings().card.cache_bytes) / (all.bytes_read + all.bytes_written) + 1;
    constexpr std::int64_t kMostCopies = 16;
    for (std::int64_t i = 0; i < std::min(wanted, kMostCopies); ++i)
      convs_.push_back(prepare(cuda, problem, filters.weights.data(), filters.bias.data()));
  }
  const PreparedConv<Cuda>& next() { return *convs_[++at_ % convs_.size()]; }

 private:
  std::vector<std::shared_ptr<const PreparedConv<Cuda>>> convs_;
  std::size_t at_ = 0;
};

// What all of them read and write. All copies of a tensor hold the same.
struct Data {
  RotatingTensor src, residual, dst, copy;
  RotatingBuffer weights, bias;

  Data(const Bench<Cuda>& bench, const Conv& c, const Filters& filters)
      : src(bench.tensor(c.src, c.dtype)),
        residual(bench.tensor(c.residual ? c.dst : Shape{}, dst_dtype(c))),
        dst(bench.tensor(c.dst, dst_dtype(c))),
        copy(bench.tensor(c.copy_scale > 0 ? c.dst : Shape{}, c.dtype)),
        weights(bench.device(), filters.channels_last),
        bias(bench.device(), filters.bias_bytes) {}
};

// The first and the last of a result's values, if there are many: what a misread layout makes of a tensor shows in a part of
// it.
std::vector<float> downloaded(const Cuda& cuda, const View& v) {
  constexpr std::int64_t kMost = 1 << 19;
  const std::int64_t all = v.shape.elements(), first = std::min(all, kMost), last = std::min(all - first, kMost);
  const auto bytes = [](std::int64_t elements) { return static_cast<std::size_t>(elements) * 2; };
  const CudaMemory host(MemoryKind::kPinned, bytes(first + last));
  const auto* const from = static_cast<const std::byte*>(v.data);
  if (Status s = copy_to_host(cuda, host.data(), from, bytes(first)); !s) throw Error(s.code(), s.message());
  if (last > 0) {
    const Status s = copy_to_host(cuda, host.data() + bytes(first), from + bytes(all - last), bytes(last));
    if (!s) throw Error(s.code(), s.message());
  }
  if (Status s = wait(cuda); !s) throw Error(s.code(), s.message());
  std::vector<float> values;
  const auto* const bits = reinterpret_cast<const std::uint16_t*>(host.data());
  for (std::int64_t i = 0; i < first + last; ++i)
    values.push_back(v.dtype == DType::kF16 ? static_cast<float>(std::bit_cast<Float16>(bits[i]))
                                            : static_cast<float>(std::bit_cast<BFloat16>(bits[i])));
  return values;
}

// Nothing is timed that has not computed the same: the difference stays far below what a misread layout would make of it.
void require_agreement(const std::vector<float>& ours, const std::vector<float>& theirs) {
  constexpr double kMost = 0.02;  // of the root mean square; bf16 rounds to 0.2 %
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference += std::pow(double{ours[i]} - theirs[i], 2);
    size += std::pow(double{ours[i]}, 2);
  }
  if (!(difference <= kMost * kMost * size)) throw Error(Code::kInternal, "a library's result differs from ours");
}

using Run = std::function<Status(const View& src, const View& residual, const MutView& dst)>;

// A function that runs on the next copies of the data.
Operation rotating(Data& data, const Conv& problem, Run run) {
  return [&data, residual = problem.residual, run = std::move(run)] {
    return run(data.src.next(), residual ? View(data.residual.next()) : View(), data.dst.next());
  };
}

std::vector<float> result_of(const Cuda& cuda, Data& data, const Conv& problem, const Run& run) {
  MutView dst;
  const Status s = rotating(data, problem, [&](const View& src, const View& residual, const MutView& to) {
    dst = to;
    return run(src, residual, to);
  })();
  if (!s) throw Error(s.code(), s.message());
  return downloaded(cuda, dst);
}

// The fastest of a library's choices, or none; `why` says what was wrong with it.
Rival best_of(const Bench<Cuda>& bench, const Conv& problem, const ConvPeers& peers, Data& data, const Memory& workspace,
              const std::vector<float>& ours, std::string& why) {
  constexpr int kTries = 3;
  Rival best;
  double shortest = 0;
  for (const auto& choice : peers.choices) {
    const Run run = [&](const View& src, const View& residual, const MutView& dst) {
      return choice->run(bench.device(),
                         {src.data, data.weights.next(), data.bias.next(), residual.data, dst.data, workspace.data()});
    };
    try {
      require_agreement(ours, result_of(bench.device(), data, problem, run));
      auto watch = bench.watch(cost(problem), rotating(data, problem, run));
      std::vector<double> seconds;
      for (int i = 0; i < kTries; ++i) seconds.push_back(watch->seconds());
      const double time = median(std::move(seconds));
      if (best.watch && time >= shortest) continue;
      shortest = time;
      best = {peers.name.substr(0, peers.name.find(' ')), choice->algorithm(), std::move(watch)};
    } catch (const Error& e) {
      why = peers.name + ", " + choice->algorithm() + ": " + e.what();
    }
  }
  return best;
}

// Once for each sentence, so that a missing library does not fill the table.
void say_once(const std::string& why) {
  static std::vector<std::string> said;
  if (std::ranges::find(said, why) != said.end()) return;
  said.push_back(why);
  std::printf("no peer: %s\n", why.c_str());
}

}  // namespace

void measure_conv(Bench<Cuda>& bench, const Conv& wanted, int count) {
  const Cuda& cuda = bench.device();
  Conv problem = wanted;
  const bool narrow = is_narrow(problem.dtype);
  if (narrow) problem.wide = DType::kF16;
  if (narrow && problem.residual) problem.copy_scale = problem.src_scale;
  const Filters filters(problem);
  OwnConvs convs(cuda, problem, filters);
  Data data(bench, problem, filters);
  const Memory scratch = bench.memory(convs.next().scratch_bytes());
  const Run own = [&](const View& src, const View& residual, const MutView& dst) {
    return convs.next().run(cuda,
                            {src, residual, {}, dst, scratch.data(), problem.copy_scale > 0 ? data.copy.next() : MutView()});
  };
  std::vector<ConvPeers> libraries;
  if (narrow) {
    say_once("neither library is asked for int8 and fp8");
  } else {
    libraries.push_back(cudnn_peers(problem, kChoices));
    if (problem.kernel == 1 && problem.stride == 1) libraries.push_back(cublaslt_peers(problem, kChoices));
  }
  std::size_t workspace_bytes = 256;
  for (const ConvPeers& peers : libraries)
    for (const auto& choice : peers.choices) workspace_bytes = std::max(workspace_bytes, choice->workspace_bytes());
  const Memory workspace = bench.memory(workspace_bytes);
  std::vector<float> ours;
  if (!libraries.empty()) ours = result_of(cuda, data, problem, own);
  std::vector<Rival> rivals;
  for (const ConvPeers& peers : libraries) {
    std::string why = peers.why_none;
    if (Rival best = best_of(bench, problem, peers, data, workspace, ours, why); best.watch) {
      rivals.push_back(std::move(best));
    } else {
      say_once(why);
    }
  }
  bench.measure_against({cost(problem), problem.dtype, convs.next().algorithm(), count}, rotating(data, problem, own), rivals);
}

}  // namespace mfs::bench
