// The parts of the engine that conv.cu chooses among besides its own family.
#pragma once

#include "kernels/conv_group.h"
#include "kernels/cuda/conv_hopper_plan.h"

namespace mfs::core {

// In f32, for few pixels.
std::shared_ptr<const PreparedConv<Cuda>> prepare_f32(const GroupedConv& problem, PackCache& cache);

// The Hopper family, in builds with a target 9.0 (MFS_HAVE_HOPPER): hopper_takes() the problem, and the plan is one of
// hopper_plans().
std::shared_ptr<const PreparedConv<Cuda>> prepare_hopper(const Conv& conv, const HopperPlan& plan,
                                                         const ConvParameters& parameters, const std::string& name,
                                                         PackCache& cache);

}  // namespace mfs::core
