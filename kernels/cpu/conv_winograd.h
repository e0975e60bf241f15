// Winograd's minimal filtering for 3x3 convolutions of stride 1 and any dilation (Lavin and Gray 2016).
#pragma once

#include <memory>
#include <string>

#include "kernels/conv.h"

namespace mfs::core {

// Whether the problem is one that Winograd computes faster than a direct convolution.
bool winograd_pays(const Conv&);

std::shared_ptr<const PreparedConv<Cpu>> prepare_winograd(const Cpu&, const Conv&, const ConvParameters&,
                                                          const std::string& name, PackCache&);

}  // namespace mfs::core
