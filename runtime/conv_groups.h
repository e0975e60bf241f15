// Small convolutions of a lowered network that one launch can do together.
#pragma once

#include "runtime/lowered.h"

namespace mfs::core {

// Neighbouring convolutions in f32 of which none reads what another one writes become a ConvGroupStep, as many as kMostGrouped.
// On a GPU, where the rest is in narrower types, these are the pooled context's. Buffers must not be shared yet.
void group_convs(Lowered& network);

}  // namespace mfs::core
