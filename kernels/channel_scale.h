// dst = relu?(src * gate[channel] + residual?): the "excitation" of an SE-ResNet block with its shortcut.
#pragma once

#include "kernels/backend.h"
#include "kernels/cost.h"
#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

// src, residual (optional) and dst: same shape and dtype (f32, f16 or bf16), any pitch; gate (n, 1, 1, c) dense f32.
// dst may be src or residual.
struct ChannelScale {
  View src, gate, residual;
  bool relu = false;
  MutView dst;
};

Status check(const ChannelScale&);
Cost cost(const ChannelScale&);
Status run(const Cpu&, const ChannelScale&);
Status run(const Cuda&, const ChannelScale&);

}  // namespace mfs::core
