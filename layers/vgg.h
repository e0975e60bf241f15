// VGG-16 FCN-8s: the network of the paper's vgg-baseline and vgg-early.
#pragma once

#include "layers/graph.h"

namespace mfs::core {

// From the network's input, sides multiples of 32, to the logit map at output stride 8. VGG-16 (Simonyan and Zisserman 2015,
// configuration D) as a fully convolutional network with two skips (Long et al. 2015, FCN-8s), one class, no cropping.
Value vgg_fcn8(GraphBuilder& g, Value x);

}  // namespace mfs::core
