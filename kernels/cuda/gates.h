// Squeeze-and-excitation inside a kernel: from the sums of parts of an image to a factor for every channel
// (kernels/squeeze_excite.h).
#pragma once

#include "kernels/cuda/gate_memory.h"
#include "kernels/cuda/pixel_sums.h"
#include "kernels/cuda/simt/cluster.h"

namespace mfs::core {

inline namespace MFS_SIMT_BACKEND {

struct GateParams {
  const float *squeeze, *squeeze_bias, *excite, *excite_bias;
  int channels, hidden, parts;
  float factor;  // 1 / pixels
};

// The work of kSumThreads threads: a Team has the members of WholeBlock. Blocks of a cluster can share the reading of many
// parts: each sums those of its rank, sends the result to the others and adds theirs, always in the same order.
// Shared memory: the team's, the means of every block, the first becoming those of all, gates, hidden values (gate_memory.h).
template <class Team, int kWidth>
struct Gates {
  const GateParams& g;
  const Team team;
  const int sharers, rank;
  static_assert(kSumThreads == kGateThreads);
  float* const means = team.memory + kSumThreads * kWidth;
  float* const own_means = means + rank * g.channels;
  float* const gates = means + sharers * g.channels;
  float* const hidden = gates + g.channels;
  const int thread = static_cast<int>(team.lane * team.columns + team.column);

  // sums: parts x channels, of an image.
  MFS_DEVICE void sum_own_parts(const float* sums) const {
    const int parts = (g.parts - rank + sharers - 1) / sharers;
    const Rectangle every{parts > 0 ? parts : 1, parts, int64_t{sharers} * g.channels, 0};  // the last ranks' may be empty
    for (int base = 0; base < g.channels; base += static_cast<int>(team.columns) * kWidth) {
      const int channel = base + static_cast<int>(team.column) * kWidth;
      sum_rectangle<kWidth>(team, sums + rank * g.channels + channel, every, channel < g.channels, g.factor,
                            own_means + channel);
      team.meet();
    }
  }

  // To the same place of the other blocks, which must be theirs to receive by now.
  MFS_DEVICE void send_means() const {
    for (int c = thread; c < g.channels; c += static_cast<int>(kSumThreads)) {
      for (int r = 0; r < sharers; ++r)
        if (r != rank) simt::store(simt::shared_of(own_means + c, static_cast<uint32_t>(r)), simt::load(own_means + c));
    }
  }
  // When all of theirs have come.
  MFS_DEVICE void add_means() const {
    for (int c = thread; c < g.channels; c += static_cast<int>(kSumThreads)) {
      float sum = 0;
      for (int r = 0; r < sharers; ++r) sum += simt::load(means + r * g.channels + c);
      simt::store(means + c, sum);
    }
    team.meet();
  }

  MFS_DEVICE void find_gates() const {
    for (int i = thread / 32; i < g.hidden; i += static_cast<int>(kSumThreads) / 32) {
      const float* const row = g.squeeze + int64_t{i} * g.channels;
      float sum = 0;
      for (int c = thread % 32; c < g.channels; c += 32) sum += simt::load_constant(row + c) * simt::load(means + c);
      for (unsigned half = 16; half > 0; half /= 2) sum += simt::shuffle_xor(sum, half);
      if (g.squeeze_bias != nullptr) sum += simt::load_constant(g.squeeze_bias + i);
      if (thread % 32 == 0) simt::store(hidden + i, sum < 0 ? 0.0f : sum);
    }
    team.meet();
    for (int c = thread; c < g.channels; c += static_cast<int>(kSumThreads)) {
      const float* const row = g.excite + int64_t{c} * g.hidden;
      float sum = 0;
      int i = 0;
      if (g.hidden % 4 == 0 && reinterpret_cast<uintptr_t>(g.excite) % 16 == 0) {
        for (; i < g.hidden; i += 4) {  // neighbouring threads read different rows: as much of one as a load can bring
          const simt::F32x4 w = simt::load_constant(reinterpret_cast<const simt::F32x4*>(row + i));
          sum += w.x * simt::load(hidden + i), sum += w.y * simt::load(hidden + i + 1);
          sum += w.z * simt::load(hidden + i + 2), sum += w.w * simt::load(hidden + i + 3);
        }
      }
      for (; i < g.hidden; ++i) sum += simt::load_constant(row + i) * simt::load(hidden + i);
      if (g.excite_bias != nullptr) sum += simt::load_constant(g.excite_bias + c);
      simt::store(gates + c, 1.0f / (1.0f + expf(-sum)));
    }
    team.meet();
  }
};

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
