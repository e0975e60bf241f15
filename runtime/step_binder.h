// Turns lowered operations into prepared steps of a device: first what each needs (packed weights, scratch), then, once memory
// is placed, closures over final addresses.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/conv_gate.h"
#include "kernels/conv_group.h"
#include "kernels/conv_head.h"
#include "kernels/stem.h"
#include "runtime/executor.h"
#include "runtime/lowered.h"
#include "runtime/memory_plan.h"
#include "weights/weights_file.h"

namespace mfs::core {

template <typename Device>
struct BoundStep {
  StepInfo info;
  std::function<Status(const Device&)> run;
};

// What the bound steps point into besides the arena: parameters that kernels read as they are in the file, barriers.
using Parameters = std::vector<std::shared_ptr<const void>>;

template <typename Device>
class StepBinder {
 public:
  // `fold_threads`: of the host, for the preparation of weights.
  StepBinder(const WeightsFile& file, PackCache& packs, const Device& device, int fold_threads, const Lowered& network)
      : file_(file),
        packs_(packs),
        device_(device),
        host_{fold_threads},
        network_(network),
        convs_(network.ops.size()),
        groups_(network.ops.size()),
        gates_(network.ops.size()) {}

  std::size_t prepare(const LoweredOp& op);  // in order, every operation once; returns its scratch in bytes
  void place(std::byte* arena, const MemoryPlan& memory);
  BoundStep<Device> bind(std::size_t op);
  MutView view(const Place& p) const;  // without an address before place()

 private:
  template <typename Kernel>
  BoundStep<Device> simple(const LoweredOp& op, std::string operation, Kernel kernel);
  BoundStep<Device> bind_step(std::size_t i, const ConvStep& s);
  BoundStep<Device> bind_step(std::size_t i, const ConvGroupStep& s);
  BoundStep<Device> bind_step(std::size_t i, const StemStep& s);
  BoundStep<Device> bind_step(std::size_t i, const MaxPoolStep& s);
  BoundStep<Device> bind_step(std::size_t i, const SqueezeExciteStep& s);
  BoundStep<Device> bind_step(std::size_t i, const ConvGateStep& s);
  BoundStep<Device> bind_step(std::size_t i, const PyramidPoolStep& s);
  BoundStep<Device> bind_step(std::size_t i, const PyramidHeadStep& s);
  BoundStep<Device> bind_step(std::size_t i, const ConvHeadStep& s);
  BoundStep<Device> bind_step(std::size_t i, const ResizeStep& s);
  BoundStep<Device> bind_step(std::size_t i, const TransposedConvStep& s);
  BoundStep<Device> bind_step(std::size_t i, const QuantiseStep& s);

  GroupedConv described(const ConvStep& s) const;  // refers to the step
  ConvArguments arguments_of(const ConvStep& s, std::size_t op) const;
  LogitParameters logit_parameters(const PyramidHeadStep& s) const;
  const float* parameter(const std::string& name);  // on the device; null when the file has no such tensor
  std::span<std::byte> scratch(std::size_t op) const;

  const WeightsFile& file_;
  PackCache& packs_;
  Device device_;
  Cpu host_;
  const Lowered& network_;
  std::vector<std::shared_ptr<const PreparedConv<Device>>> convs_;  // by operation, for some of them
  std::vector<std::shared_ptr<const PreparedConvGroup>> groups_;
  std::vector<std::shared_ptr<const PreparedConvGate>> gates_;
  std::shared_ptr<const PreparedStem> stem_;
  std::shared_ptr<const PreparedConvHead> head_;
  std::vector<std::size_t> scratch_sizes_;
  Parameters parameters_;
  std::byte* arena_ = nullptr;
  MemoryPlan memory_;
};

}  // namespace mfs::core
