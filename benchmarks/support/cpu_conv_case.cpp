#include "benchmarks/support/conv_case.h"
#include "benchmarks/support/onednn_conv.h"

namespace mfs::bench {

void measure_conv(Bench<Cpu>& bench, const Conv& problem, int count) {
  const Cpu& cpu = bench.device();
  const std::vector<float> weights(static_cast<std::size_t>(problem.dst.c) * problem.src.c * problem.kernel * problem.kernel,
                                   0.01f);
  const std::vector<float> bias(static_cast<std::size_t>(problem.dst.c), 0.1f);
  const auto conv = prepare(cpu, problem, weights.data(), bias.data());
  const Memory scratch = bench.memory(conv->scratch_bytes());
  RotatingTensor src = bench.tensor(problem.src, problem.dtype), dst = bench.tensor(problem.dst, dst_dtype(problem));
  const OneDnnConv peer(cpu, problem);
  const auto buffer = [&](std::size_t bytes, DType dtype) {
    return bench.buffer(static_cast<std::int64_t>(bytes / size_of(dtype)), dtype);
  };
  RotatingBuffer peer_src = buffer(peer.src_bytes(), problem.dtype);
  RotatingBuffer peer_dst = buffer(peer.dst_bytes(), dst_dtype(problem));
  const View from = src.next();
  const MutView to = dst.next();
  std::byte *peer_from = peer_src.next(), *peer_to = peer_dst.next();
  std::vector<Rival> rivals;
  rivals.push_back({"oneDNN", "oneDNN " + peer.algorithm(), bench.watch(cost(problem), [&] {
                      peer.run(peer_from, peer_to);
                      return Status{};
                    })});
  bench.measure_against(
      {cost(problem), problem.dtype, conv->algorithm(), count},
      [&] {
        return conv->run(cpu, {from, problem.residual ? View(to) : View(), {}, to, scratch.data()});
      },
      rivals);
}

}  // namespace mfs::bench
