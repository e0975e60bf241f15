// The stem's one kernel, where a GPU has it, against our convolution and poolings by themselves.
#include "kernels/stem.h"

#include "benchmarks/support/bench.h"
#include "kernels/max_pool.h"

namespace mfs::bench {
namespace {

constexpr int kStem = 64, kInit = 256;  // channels of the stem and of the fusion branch's init

// Any numbers do.
void fill(float* weights, float*, float* bias) {
  for (int i = 0; i < (kStem + kInit) * 4 * 49; ++i) weights[i] = static_cast<float>(i % 13 - 6) / 64;
  for (int i = 0; i < kStem + kInit; ++i) bias[i] = static_cast<float>(i % 5);
}

Stem stem_for(const Variant& v) { return {{v.batch, 512, 512, 4}, v.dtype, {{kStem, 3}, {kInit, 2}}}; }

void measure(Bench<Cuda>& bench, const Variant& v) {
  const Cuda& cuda = bench.device();
  const Stem stem = stem_for(v);
  Conv conv{.src = stem.src, .dst = {v.batch, 256, 256, kStem + kInit}, .kernel = 7, .stride = 2, .pad = 3, .dtype = v.dtype};
  conv.relu = true;
  RotatingTensor src = bench.tensor(stem.src, v.dtype), between = bench.tensor(conv.dst, v.dtype);
  RotatingTensor first = bench.tensor(stem_shape(stem, 0), v.dtype), second = bench.tensor(stem_shape(stem, 1), v.dtype);
  PackCache packs;
  const auto fused = prepare_stem(cuda, stem, fill, "stem", packs);
  const auto alone = prepare(cuda, conv, fill, "conv", packs);
  const Memory scratch = bench.memory(alone->scratch_bytes());
  const auto three_kernels = [&]() -> Status {
    const MutView map = between.next();
    if (Status s = alone->run(cuda, {src.next(), {}, {}, map, scratch.data()}); !s) return s;
    Shape part = map.shape;
    part.c = kStem;
    const View stem_map(map.data, map.dtype, part, map.pitch);
    part.c = kInit;
    const View init_map(static_cast<const std::uint16_t*>(map.data) + kStem, map.dtype, part, map.pitch);
    if (Status s = core::run(cuda, MaxPool{stem_map, 3, 2, 1, false, first.next()}); !s) return s;
    return core::run(cuda, MaxPool{init_map, 2, 2, 0, false, second.next()});
  };
  std::vector<Rival> rivals;
  rivals.push_back({"three kernels", alone->algorithm(), bench.watch(cost(stem), three_kernels)});
  bench.measure_against(
      {cost(stem), v.dtype, fused->algorithm()},
      [&] {
        const MutView pooled[] = {first.next(), second.next()};
        return fused->run(cuda, src.next(), pooled);
      },
      rivals);
}

const bool kRegistered = [] {
  for (const Variant& v : kVariants) {
    constexpr const Cuda* kCuda = nullptr;
    if (!takes(kCuda, v)) continue;
    add_to(
        kCuda, "stem " + to_string(stem_for(v).src) + " " + to_string(v), [=](Bench<Cuda>& bench) { measure(bench, v); },
        [=](const Cuda& cuda) { return has_stem(cuda, stem_for(v)); });
  }
  return true;
}();

}  // namespace
}  // namespace mfs::bench
