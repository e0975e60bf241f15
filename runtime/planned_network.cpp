#include "runtime/planned_network.h"

#include <type_traits>

#include "layers/network.h"
#include "runtime/conv_groups.h"
#include "runtime/conv_problem.h"
#include "runtime/gate_fusion.h"
#include "runtime/head_fusion.h"
#include "runtime/memory_plan.h"
#include "runtime/quantisation.h"
#include "runtime/stem_fusion.h"

namespace mfs::core {
namespace {

template <typename Device>
Lowered lowered_for(const WeightsFile& file, const Device& device, const NetworkOptions& o) {
  constexpr bool kCuda = std::is_same_v<Device, Cuda>;  // the CPU's convolutions have one source and one result
  Lowered network = lower(build_network(file, o.height, o.width, o.batch), {.dtype = o.dtype, .join_sources = kCuda});
  if (o.calibration) quantise(network, *o.calibration, {o.narrow, kCuda});
  if constexpr (kCuda) {
    group_convs(network);
    add_sums(network, [&](const Conv& c) { return sum_parts(device, c); });
    if (!o.keep_named_values) {
      fuse_stem(network, device), fuse_head(network, device);
      if (o.streams == 1) fuse_gates(network, device);
    }
  }
  return network;
}

}  // namespace

template <typename Device>
PlannedNetwork<Device>::PlannedNetwork(const WeightsFile& file, PackCache& packs, const Device& device,
                                       const NetworkOptions& options)
    : lowered_(lowered_for(file, device, options)),
      order_(options.streams == 1 ? StreamOrder(lowered_.ops.size()) : StreamOrder(lowered_, side_branches(lowered_))),
      binder_(file, packs, device, options.host_threads, lowered_) {
  if (!options.keep_named_values) share_buffers_in_place(lowered_, order_);
  std::vector<std::size_t> scratch;
  for (const LoweredOp& op : lowered_.ops) scratch.push_back(binder_.prepare(op));
  memory_ = plan_memory(lowered_, scratch,
                        options.keep_named_values ? Keep::kAll
                        : options.keep_input      ? Keep::kInput
                                                  : Keep::kOutput,
                        order_);
}

template <typename Device>
void PlannedNetwork<Device>::place(std::byte* arena) {
  binder_.place(arena, memory_);
  for (std::size_t i = 0; i < lowered_.ops.size(); ++i) steps_.push_back(binder_.bind(i));
}

template <typename Device>
MutView PlannedNetwork<Device>::named(const std::string& name) const {
  for (const auto& [known, place] : lowered_.named)
    if (known == name) return view(place);
  return {};
}

#if MFS_HAVE_CPU
template class PlannedNetwork<Cpu>;
#endif
#if MFS_HAVE_CUDA
template class PlannedNetwork<Cuda>;
#endif

}  // namespace mfs::core
