// Turns lowered operations into prepared CPU steps: first what each needs (packed weights, scratch), then, once memory is
// placed, closures over final addresses.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/conv.h"
#include "runtime/executor.h"
#include "runtime/lowered.h"
#include "runtime/memory_plan.h"
#include "weights/weights_file.h"

namespace mfs::core {

struct BoundStep {
  StepInfo info;
  std::function<Status(const Cpu&)> run;
};

class StepBinder {
 public:
  StepBinder(const WeightsFile& file, PackCache& packs, Cpu cpu, const Lowered& network)
      : file_(file), packs_(packs), cpu_(cpu), network_(network), convs_(network.ops.size()) {}

  std::size_t prepare(const LoweredOp& op);  // in order, every operation once; returns its scratch in bytes
  void place(std::byte* arena, const MemoryPlan& memory);
  BoundStep bind(std::size_t op);
  MutView view(const Place& p) const;                                                   // without an address before place()
  std::vector<std::vector<float>> take_parameters() { return std::move(parameters_); }  // the bound steps point into them

 private:
  template <typename Kernel>
  BoundStep simple(const LoweredOp& op, std::string operation, Kernel kernel);
  BoundStep bind_step(std::size_t i, const ConvStep& s);
  BoundStep bind_step(std::size_t i, const MaxPoolStep& s);
  BoundStep bind_step(std::size_t i, const GlobalAverageStep& s);
  BoundStep bind_step(std::size_t i, const LinearStep& s);
  BoundStep bind_step(std::size_t i, const ChannelScaleStep& s);
  BoundStep bind_step(std::size_t i, const PyramidPoolStep& s);
  BoundStep bind_step(std::size_t i, const PyramidHeadStep& s);
  BoundStep bind_step(std::size_t i, const ResizeStep& s);

  Conv problem_of(const ConvStep& s) const;
  void prepare_conv(const ConvStep& s);
  const float* parameter(const std::string& name);  // null when the file has no such tensor
  std::span<std::byte> scratch(std::size_t op) const;

  const WeightsFile& file_;
  PackCache& packs_;
  Cpu cpu_;
  const Lowered& network_;
  std::vector<std::shared_ptr<const PreparedConv<Cpu>>> convs_;
  std::vector<std::size_t> scratch_sizes_;
  std::vector<std::vector<float>> parameters_;
  std::byte* arena_ = nullptr;
  MemoryPlan memory_;
};

}  // namespace mfs::core
