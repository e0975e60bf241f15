#include "runtime/step_binder.h"

#include <type_traits>
#include <utility>

#include "kernels/cuda/device.h"
#include "kernels/error.h"
#include "kernels/max_pool.h"
#include "kernels/pyramid_head.h"
#include "kernels/pyramid_pool.h"
#include "kernels/quantise.h"
#include "kernels/resize_bilinear.h"
#include "kernels/squeeze_excite.h"
#include "kernels/transposed_conv.h"
#include "runtime/conv_problem.h"
#include "runtime/fold.h"
#include "runtime/gate_fusion.h"
#include "runtime/head_fusion.h"
#include "runtime/stem_fusion.h"

namespace mfs::core {
namespace {

std::string describe(const Window& w) {
  std::string s = std::to_string(w.kernel) + "x" + std::to_string(w.kernel);
  if (w.stride != 1) s += " s" + std::to_string(w.stride);
  if (w.dilation != 1) s += " d" + std::to_string(w.dilation);
  return s;
}

std::string conv_name(const Conv& c, const Window& w) {
  return "conv " + describe(w) + " " + std::to_string(c.src.c) + "->" + std::to_string(c.dst.c) + " @" +
         std::to_string(c.dst.h) + "x" + std::to_string(c.dst.w) + (c.joined.c ? " +1x1 " + std::to_string(c.joined.c) : "") +
         (c.residual ? " +add" : "") + (c.relu ? " +relu" : "") +
         (c.dtype == DType::kU8     ? " int8"
          : c.dtype == DType::kE4m3 ? " fp8"
                                    : "") +
         (c.copy_scale > 0 ? " +copy" : "") + (c.sums ? " +sums" : "");
}

#if MFS_HAVE_CPU
const float* keep(const Cpu&, std::vector<float> values, Parameters& parameters) {
  auto kept = std::make_shared<const std::vector<float>>(std::move(values));
  parameters.push_back(kept);
  return kept->data();
}
#endif

#if MFS_HAVE_CUDA
const float* keep(const Cuda&, const std::vector<float>& values, Parameters& parameters) {
  auto kept = std::make_shared<const CudaMemory>(MemoryKind::kDevice, values.size() * sizeof(float));
  if (const Status s = upload(kept->data(), values.data(), kept->size()); !s) throw Error(s.code(), s.message());
  parameters.push_back(kept);
  return reinterpret_cast<const float*>(kept->data());
}

// Memory of its own, which only the runs of one network touch.
std::byte* new_barrier(const Cuda&, Parameters& parameters) {
  auto barrier = std::make_shared<const CudaMemory>(MemoryKind::kDevice, kGridBarrierBytes);
  const std::byte zeros[kGridBarrierBytes] = {};
  if (const Status s = upload(barrier->data(), zeros, sizeof zeros); !s) throw Error(s.code(), s.message());
  parameters.push_back(barrier);
  return barrier->data();
}
#endif

}  // namespace

template <typename Device>
MutView StepBinder<Device>::view(const Place& p) const {
  const auto b = static_cast<std::size_t>(p.buffer);
  const Buffer& buffer = network_.buffers[b];
  const std::size_t channel = static_cast<std::size_t>(p.first_channel) * size_of(buffer.dtype);
  return {arena_ ? arena_ + memory_.offsets[b] + channel : nullptr, buffer.dtype, p.shape, buffer.shape.c};
}

template <typename Device>
std::span<std::byte> StepBinder<Device>::scratch(std::size_t op) const {
  return {arena_ + memory_.scratch[op], scratch_sizes_[op]};
}

template <typename Device>
const float* StepBinder<Device>::parameter(const std::string& name) {
  std::vector<float> values = read_all(file_, name);
  return values.empty() ? nullptr : keep(device_, std::move(values), parameters_);
}

template <typename Device>
LogitParameters StepBinder<Device>::logit_parameters(const PyramidHeadStep& s) const {
  const std::vector<float> bias = read_all(file_, s.final_conv + ".bias");
  return {read_all(file_, s.final_conv + ".weight"), bias.empty() ? 0.0f : bias[0]};
}

template <typename Device>
GroupedConv StepBinder<Device>::described(const ConvStep& s) const {
  std::string key;
  const auto add = [&key](const Filters& f) {
    key += f.conv + "[" + std::to_string(f.first_in) + ":" + std::to_string(f.in) + "]";
  };
  for (const Filters& f : s.filters) add(f);
  if (s.joined) key += '+', add(s.joined_filters);
  const auto parameters = [this, &s](float* weights, float* joined, float* bias) {
    float* to = bias;
    for (const Filters& f : s.filters) {
      fold(file_, f, host_, weights, to);
      weights += std::int64_t{f.out} * f.in * s.window.kernel * s.window.kernel;
      to += f.out;
    }
    if (!s.joined) return;
    std::vector<float> shift(static_cast<std::size_t>(s.joined_filters.out));
    fold(file_, s.joined_filters, host_, joined, shift.data());
    for (std::size_t o = 0; o < shift.size(); ++o) bias[o] += shift[o];
  };
  return {problem_of(network_, s), parameters, key};
}

template <typename Device>
std::size_t StepBinder<Device>::prepare(const LoweredOp& op) {
  std::size_t bytes = 0;
  const std::size_t number = scratch_sizes_.size();
  if (const auto* conv = std::get_if<ConvStep>(&op.step)) {
    const GroupedConv d = described(*conv);
    convs_[number] = core::prepare(device_, d.conv, d.parameters, d.name, packs_);
    bytes = convs_[number]->scratch_bytes();
  } else if (const auto* group = std::get_if<ConvGroupStep>(&op.step)) {
    if constexpr (std::is_same_v<Device, Cuda>) {
      std::vector<GroupedConv> members;
      for (const ConvStep& member : group->convs) members.push_back(described(member));
      groups_[number] = prepare_group(device_, members, packs_);
    } else {
      throw Error(Code::kInternal, op.name + ": the CPU engine does one convolution at a time");
    }
  } else if (const auto* stem = std::get_if<StemStep>(&op.step)) {
    if constexpr (std::is_same_v<Device, Cuda>) {
      const GroupedConv d = described(stem->conv);
      stem_ = prepare_stem(device_, stem_of(*stem, network_), d.parameters, d.name, packs_);
    } else {
      throw Error(Code::kInternal, op.name + ": the CPU engine pools for itself");
    }
  } else if (const auto* fused = std::get_if<ConvHeadStep>(&op.step)) {
    if constexpr (std::is_same_v<Device, Cuda>) {
      const GroupedConv d = described(fused->conv);
      head_ =
          prepare_conv_head(device_, head_of(*fused, network_), d.parameters, logit_parameters(fused->head), d.name, packs_);
    } else {
      throw Error(Code::kInternal, op.name + ": the CPU engine adds the priors by themselves");
    }
  } else if (const auto* gated = std::get_if<ConvGateStep>(&op.step)) {
    if constexpr (std::is_same_v<Device, Cuda>) {
      const GroupedConv d = described(gated->conv);
      gates_[number] = prepare_conv_gate(device_, gate_of(*gated, network_), d.parameters, d.name, packs_);
    } else {
      throw Error(Code::kInternal, op.name + ": the CPU engine scales by itself");
    }
  } else if (const auto* gate = std::get_if<SqueezeExciteStep>(&op.step)) {
    if (!gate->sums) bytes = scratch_bytes(device_, SqueezeExcite{.src = view(gate->src), .hidden = gate->hidden});
  } else if (const auto* pool = std::get_if<PyramidPoolStep>(&op.step)) {
    std::vector<MutView> grids;
    for (const Place& p : pool->grids) grids.push_back(view(p));
    bytes = scratch_bytes(device_, PyramidPool{view(pool->src), grids, {}});
  } else if (const auto* head = std::get_if<PyramidHeadStep>(&op.step)) {
    std::vector<View> priors;
    for (const Place& p : head->priors) priors.push_back(view(p));
    bytes =
        scratch_bytes(device_, PyramidHead{view(head->features), priors, nullptr, 0, head->align_corners, view(head->dst), {}});
  }
  scratch_sizes_.push_back(bytes);
  return bytes;
}

template <typename Device>
void StepBinder<Device>::place(std::byte* arena, const MemoryPlan& memory) {
  arena_ = arena, memory_ = memory;
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind(std::size_t op) {
  return std::visit([&](const auto& step) { return bind_step(op, step); }, network_.ops[op].step);
}

template <typename Device>
template <typename Kernel>
BoundStep<Device> StepBinder<Device>::simple(const LoweredOp& op, std::string operation, Kernel kernel) {
  if (const Status s = check(kernel); !s) throw Error(Code::kInternal, op.name + ": " + s.message());
  return {{op.name, std::move(operation), "", cost(kernel)},
          [kernel](const Device& device) { return core::run(device, kernel); }};
}

template <typename Device>
ConvArguments StepBinder<Device>::arguments_of(const ConvStep& s, std::size_t op) const {
  Place all = s.dst;
  all.first_channel = 0, all.shape = network_.buffers[static_cast<std::size_t>(s.dst.buffer)].shape;
  return {view(s.src),
          s.residual ? View(view(s.residual)) : View{},
          s.joined ? View(view(s.joined)) : View{},
          view(all),
          scratch(op).data(),
          s.copy ? view(s.copy) : MutView{},
          s.sums ? view(s.sums) : MutView{}};
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const ConvStep& s) {
  const Conv problem = problem_of(network_, s);
  Cost all = cost(problem);
  if (s.sums) all.bytes_written += view(s.sums).bytes();
  return {{network_.ops[i].name, conv_name(problem, s.window), convs_[i]->algorithm(), all},
          [conv = convs_[i], arguments = arguments_of(s, i)](const Device& device) { return conv->run(device, arguments); }};
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const ConvGroupStep& s) {
  std::vector<ConvArguments> arguments;
  Cost all;
  for (const ConvStep& conv : s.convs) {
    const Cost c = cost(problem_of(network_, conv));
    all.bytes_read += c.bytes_read, all.bytes_written += c.bytes_written, all.flops += c.flops;
    arguments.push_back(arguments_of(conv, i));
  }
  const std::string first = conv_name(problem_of(network_, s.convs.front()), s.convs.front().window);
  const StepInfo info{network_.ops[i].name, first + " and " + std::to_string(s.convs.size() - 1) + " more", "f32", all};
  if constexpr (std::is_same_v<Device, Cuda>)
    return {info, [group = groups_[i], arguments](const Cuda& cuda) { return group->run(cuda, arguments); }};
  throw Error(Code::kInternal, info.name + ": the CPU engine does one convolution at a time");
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const StemStep& s) {
  std::vector<MutView> pooled;
  for (const Place& p : s.pooled) pooled.push_back(view(p));
  StepInfo info{network_.ops[i].name, conv_name(problem_of(network_, s.conv), s.conv.window) + " +pool", "", {}};
  if constexpr (std::is_same_v<Device, Cuda>) {
    info.algorithm = stem_->algorithm(), info.cost = cost(stem_of(s, network_));
    return {info,
            [stem = stem_, src = View(view(s.conv.src)), pooled](const Cuda& cuda) { return stem->run(cuda, src, pooled); }};
  }
  throw Error(Code::kInternal, info.name + ": the CPU engine pools for itself");
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const MaxPoolStep& s) {
  return simple(network_.ops[i], "max pool " + describe(s.window),
                MaxPool{view(s.src), s.window.kernel, s.window.stride, s.window.pad, s.window.ceil_mode, view(s.dst)});
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const SqueezeExciteStep& s) {
  const float *squeeze = parameter(s.squeeze + ".weight"), *squeeze_bias = parameter(s.squeeze + ".bias");
  const float *excite = parameter(s.excite + ".weight"), *excite_bias = parameter(s.excite + ".bias");
  return simple(network_.ops[i], std::string("squeeze excite") + (s.residual ? " +add" : "") + (s.relu ? " +relu" : ""),
                SqueezeExcite{view(s.src), s.residual ? View(view(s.residual)) : View{}, s.hidden, squeeze, squeeze_bias,
                              excite, excite_bias, s.relu, view(s.dst), scratch(i), s.sums ? View(view(s.sums)) : View{}});
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const ConvGateStep& s) {
  const Conv conv = problem_of(network_, s.conv);
  StepInfo info{network_.ops[i].name,
                conv_name(conv, s.conv.window) + " +gate" + (s.gate.residual ? " +add" : "") + (s.gate.relu ? " +relu" : ""),
                "",
                {}};
  if constexpr (std::is_same_v<Device, Cuda>) {
    info.algorithm = gates_[i]->algorithm(), info.cost = cost(gate_of(s, network_));
    const ConvGateArguments arguments{view(s.conv.src),
                                      s.gate.residual ? View(view(s.gate.residual)) : View{},
                                      s.conv.joined ? View(view(s.conv.joined)) : View{},
                                      parameter(s.gate.squeeze + ".weight"),
                                      parameter(s.gate.squeeze + ".bias"),
                                      parameter(s.gate.excite + ".weight"),
                                      parameter(s.gate.excite + ".bias"),
                                      view(s.gate.dst),
                                      view(s.conv.sums),
                                      new_barrier(device_, parameters_)};
    return {info, [gate = gates_[i], arguments](const Cuda& cuda) { return gate->run(cuda, arguments); }};
  }
  throw Error(Code::kInternal, info.name + ": the CPU engine scales by itself");
}

// The two kernels that take lists keep them alive in their closures.
template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const PyramidPoolStep& s) {
  std::vector<MutView> grids;
  for (const Place& p : s.grids) grids.push_back(view(p));
  const PyramidPool probe{view(s.src), grids, scratch(i)};
  if (const Status ok = check(probe); !ok) throw Error(Code::kInternal, network_.ops[i].name + ": " + ok.message());
  return {{network_.ops[i].name, "pyramid pool", "", cost(probe)},
          [src = probe.src, grids, memory = scratch(i)](const Device& device) {
            return core::run(device, PyramidPool{src, grids, memory});
          }};
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const PyramidHeadStep& s) {
  std::vector<View> priors;
  for (const Place& p : s.priors) priors.push_back(view(p));
  LogitParameters logit = logit_parameters(s);
  const float* weights = keep(device_, std::move(logit.weights), parameters_);
  PyramidHead head{view(s.features), priors, weights, logit.bias, s.align_corners, view(s.dst), scratch(i)};
  if (const Status ok = check(head); !ok) throw Error(Code::kInternal, network_.ops[i].name + ": " + ok.message());
  return {{network_.ops[i].name, "pyramid head", "", cost(head)}, [head, priors](const Device& device) mutable {
            head.priors = priors;
            return core::run(device, head);
          }};
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const ConvHeadStep& s) {
  std::vector<View> priors;
  for (const Place& p : s.head.priors) priors.push_back(view(p));
  StepInfo info{network_.ops[i].name, conv_name(problem_of(network_, s.conv), s.conv.window) + " +priors +logit", "", {}};
  if constexpr (std::is_same_v<Device, Cuda>) {
    info.algorithm = head_->algorithm(), info.cost = cost(head_of(s, network_));
    const View src = view(s.conv.src), joined = s.conv.joined ? View(view(s.conv.joined)) : View{};
    return {info, [head = head_, src, joined, priors, logit = view(s.head.dst)](const Cuda& cuda) {
              return head->run(cuda, {src, joined, priors, logit});
            }};
  }
  throw Error(Code::kInternal, info.name + ": the CPU engine adds the priors by themselves");
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const ResizeStep& s) {
  return simple(network_.ops[i], "bilinear resize", ResizeBilinear{view(s.src), s.align_corners, view(s.dst)});
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const TransposedConvStep& s) {
  const float* weights = keep(device_, read_by_tap(file_, s.tensors + ".weight"), parameters_);
  const View residual = s.residual ? View(view(s.residual)) : View{};
  return simple(network_.ops[i], "transposed conv " + describe(s.window) + (s.residual ? " +add" : ""),
                TransposedConv{view(s.src), weights, s.window.kernel, s.window.stride, s.window.pad, residual, view(s.dst)});
}

template <typename Device>
BoundStep<Device> StepBinder<Device>::bind_step(std::size_t i, const QuantiseStep& s) {
  const float scale = network_.buffers[static_cast<std::size_t>(s.dst.buffer)].scale;
  return simple(network_.ops[i], "quantise", Quantise{view(s.src), scale, view(s.dst)});
}

#if MFS_HAVE_CPU
template class StepBinder<Cpu>;
#endif
#if MFS_HAVE_CUDA
template class StepBinder<Cuda>;
#endif

}  // namespace mfs::core
