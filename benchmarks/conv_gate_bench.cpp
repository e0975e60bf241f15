// A convolution and squeeze-and-excitation in one kernel, where a GPU has it, against ours by themselves.
#include "kernels/conv_gate.h"

#include "benchmarks/support/bench.h"
#include "kernels/squeeze_excite.h"

namespace mfs::bench {
namespace {

constexpr int kChannels = 256, kHidden = 16;

// Any numbers do.
void fill(float* weights, float*, float* bias) {
  for (int i = 0; i < kChannels * kChannels * 9; ++i) weights[i] = static_cast<float>(i % 13 - 6) / 64;
  for (int i = 0; i < kChannels; ++i) bias[i] = static_cast<float>(i % 5);
}

ConvGate gate_for(const Variant& v, int size) {
  const Shape map{v.batch, size, size, kChannels};
  ConvGate gate{{.src = map, .dst = map, .kernel = 3, .pad = 1, .dtype = v.dtype, .sums = true}, kHidden, true, true};
  if (is_narrow(v.dtype)) gate.conv.src_scale = 0.1f, gate.conv.wide = DType::kF16;
  return gate;
}

void measure(Bench<Cuda>& bench, const Variant& v, int size) {
  const Cuda& cuda = bench.device();
  const ConvGate gate = gate_for(v, size);
  const Shape& map = gate.conv.dst;
  const DType wide = dst_dtype(gate.conv);
  RotatingTensor src = bench.tensor(map, v.dtype), residual = bench.tensor(map, wide), dst = bench.tensor(map, wide),
                 between = bench.tensor(map, wide);
  RotatingTensor squeeze = bench.tensor({1, 1, kHidden, kChannels}, DType::kF32),
                 excite = bench.tensor({1, 1, kChannels, kHidden}, DType::kF32);
  PackCache packs;
  const auto fused = prepare_conv_gate(cuda, gate, fill, "gate", packs);
  const auto alone = prepare(cuda, gate.conv, fill, "conv", packs);
  const Memory scratch = bench.memory(alone->scratch_bytes()), barrier = bench.memory(kGridBarrierBytes);
  const std::byte zeros[kGridBarrierBytes] = {};
  barrier.write(0, zeros, sizeof zeros);
  RotatingTensor sums = bench.tensor({v.batch, 1, gate_parts(cuda, gate), kChannels}, DType::kF32);
  RotatingTensor other_sums = bench.tensor({v.batch, 1, sum_parts(cuda, gate.conv), kChannels}, DType::kF32);
  const auto floats = [](RotatingTensor& t) { return static_cast<const float*>(t.next().data); };
  const auto two_kernels = [&]() -> Status {
    const MutView stored = between.next(), parts = other_sums.next();
    if (Status s = alone->run(cuda, {src.next(), {}, {}, stored, scratch.data(), {}, parts}); !s) return s;
    return core::run(
        cuda,
        SqueezeExcite{
            stored, residual.next(), kHidden, floats(squeeze), nullptr, floats(excite), nullptr, true, dst.next(), {}, parts});
  };
  std::vector<Rival> rivals;
  rivals.push_back({"two kernels", alone->algorithm(), bench.watch(cost(gate), two_kernels)});
  bench.measure_against(
      {cost(gate), v.dtype, fused->algorithm()},
      [&] {
        return fused->run(cuda, {src.next(),
                                 residual.next(),
                                 {},
                                 floats(squeeze),
                                 nullptr,
                                 floats(excite),
                                 nullptr,
                                 dst.next(),
                                 sums.next(),
                                 barrier.data()});
      },
      rivals);
}

const bool kRegistered = [] {
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kU8, DType::kE4m3}) {
    for (const int size : {128, 64}) {
      const Variant v{dtype, 1};
      add_to(
          static_cast<const Cuda*>(nullptr), "conv_gate " + to_string(gate_for(v, size).conv.src) + " " + to_string(v),
          [=](Bench<Cuda>& bench) { measure(bench, v, size); },
          [=](const Cuda& cuda) { return gate_parts(cuda, gate_for(v, size)) > 0; });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
