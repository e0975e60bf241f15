// The pyramid head's one kernel, where a GPU has it, against our convolution and pyramid_head by themselves.
#include "kernels/conv_head.h"

#include <vector>

#include "benchmarks/support/bench.h"
#include "kernels/pyramid_head.h"

namespace mfs::bench {
namespace {

constexpr int kBackbone = 2048, kFusion = 256, kChannels = 512;

// Any numbers do.
void fill(float* weights, float* joined, float* bias) {
  for (int i = 0; i < kChannels * kBackbone; ++i) weights[i] = static_cast<float>(i % 13 - 6) / 64;
  for (int i = 0; i < kChannels * kFusion; ++i) joined[i] = static_cast<float>(i % 11 - 5) / 64;
  for (int i = 0; i < kChannels; ++i) bias[i] = static_cast<float>(i % 5);
}

ConvHead head_for(const Variant& v) {
  ConvHead head{{.src = {v.batch, 64, 64, kBackbone},
                 .dst = {v.batch, 64, 64, kChannels},
                 .dtype = v.dtype,
                 .joined = {v.batch, 64, 64, kFusion}},
                {1, 2, 3, 6},
                true};
  if (is_narrow(v.dtype)) head.conv.src_scale = head.conv.joined_scale = 0.1f, head.conv.wide = DType::kF16;
  return head;
}

void measure(Bench<Cuda>& bench, const Variant& v) {
  const Cuda& cuda = bench.device();
  const ConvHead head = head_for(v);
  const DType wide = dst_dtype(head.conv);
  RotatingTensor src = bench.tensor(head.conv.src, v.dtype), joined = bench.tensor(head.conv.joined, v.dtype);
  RotatingTensor features = bench.tensor(head.conv.dst, wide), weights = bench.tensor({1, 1, 1, kChannels}, DType::kF32);
  std::vector<RotatingTensor> memory;
  std::vector<View> priors;
  for (const int bins : head.bins) {
    memory.push_back(bench.tensor({v.batch, bins, bins, kChannels}, DType::kF32));
    priors.push_back(memory.back().next());
  }
  PackCache packs;
  const auto fused = prepare_conv_head(cuda, head, fill, {std::vector<float>(kChannels, 0.25f), 0.1f}, "head", packs);
  const auto alone = prepare(cuda, head.conv, fill, "conv", packs);
  const Memory scratch = bench.memory(alone->scratch_bytes());
  RotatingTensor parts = bench.tensor({v.batch, 64, 64, logit_parts(cuda, head)}, DType::kF32);
  RotatingTensor whole = bench.tensor({v.batch, 64, 64, 1}, DType::kF32);
  const auto* const of_logit = static_cast<const float*>(weights.next().data);
  const auto two_kernels = [&]() -> Status {
    const MutView map = features.next();
    if (Status s = alone->run(cuda, {src.next(), {}, joined.next(), map, scratch.data()}); !s) return s;
    return core::run(cuda, PyramidHead{map, priors, of_logit, 0.1f, true, whole.next(), {}});
  };
  std::vector<Rival> rivals;
  rivals.push_back({"two kernels", alone->algorithm(), bench.watch(cost(head), two_kernels)});
  bench.measure_against(
      {cost(head), v.dtype, fused->algorithm()},
      [&] {
        return fused->run(cuda, {src.next(), joined.next(), priors, parts.next()});
      },
      rivals);
}

const bool kRegistered = [] {
  std::vector<Variant> variants(std::begin(kVariants), std::end(kVariants));
  variants.insert(variants.end(), std::begin(kNarrowVariants), std::end(kNarrowVariants));
  for (const Variant& v : variants) {
    constexpr const Cuda* kCuda = nullptr;
    if (!takes(kCuda, v)) continue;
    add_to(
        kCuda, "conv_head " + to_string(head_for(v).conv.src) + " " + to_string(v),
        [=](Bench<Cuda>& bench) { measure(bench, v); }, [=](const Cuda& cuda) { return logit_parts(cuda, head_for(v)) > 0; });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
