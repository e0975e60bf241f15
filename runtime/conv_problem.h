// What a lowered convolution asks of the kernels.
#pragma once

#include <functional>

#include "kernels/conv.h"
#include "runtime/lowered.h"

namespace mfs::core {

Conv problem_of(const Lowered& network, const ConvStep& step);

// Convolutions before a squeeze-and-excitation step write the sums that it starts from, where the device's can (`parts`:
// sum_parts() there). After quantise(); buffers must not be shared yet.
void add_sums(Lowered& network, const std::function<int(const Conv&)>& parts);

}  // namespace mfs::core
