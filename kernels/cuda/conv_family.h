// The Hopper family as conv.cu calls it. In builds without a target 9.0 it is not there (MFS_HAVE_HOPPER).
#pragma once

#include "kernels/cuda/conv_hopper_plan.h"

namespace mfs::core {

// hopper_takes() the problem, and the plan is one of hopper_plans().
std::shared_ptr<const PreparedConv<Cuda>> prepare_hopper(const Conv& conv, const HopperPlan& plan,
                                                         const ConvParameters& parameters, const std::string& name,
                                                         PackCache& cache);

}  // namespace mfs::core
