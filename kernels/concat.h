// Channel concatenation, for networks whose branches cannot be placed next to each other.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// dst channels = the channels of srcs in order; same n, h, w and dtype everywhere (f32, f16 or bf16); any pitch.
struct Concat {
  std::span<const View> srcs;
  MutView dst;
};

Status check(const Concat&);
Cost cost(const Concat&);
Status run(const Cpu&, const Concat&);
Status run(const Cuda&, const Concat&);

}  // namespace mfs::core
