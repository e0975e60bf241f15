// Fusion: from the recorded mathematics to the kernels' operations.
#include "runtime/lowering.h"

#include "kernels/error.h"

namespace mfs::core {

Lowering::Lowering(const Graph& graph, const LowerOptions& options)
    : graph_(graph), options_(options), users_(graph.ops.size()), done_(graph.ops.size()) {
  for (std::size_t i = 0; i < graph.ops.size(); ++i)
    for (const Value v : graph.ops[i].inputs) users_[index(v)].push_back({static_cast<int>(i)});
}

Lowered Lowering::run() {
  const int head = find_head();
  for (int i = 0; i < static_cast<int>(graph_.ops.size()); ++i) {
    if (done_[static_cast<std::size_t>(i)]) continue;
    if (i == head)
      lower_head({i});
    else
      lower_op({i});
  }
  out_.input = places_.at(0);
  out_.output = places_.at(graph_.output.id);
  for (const auto& [id, place] : places_)
    if (const std::string& name = graph_.ops[static_cast<std::size_t>(id)].name; !name.empty())
      out_.named.emplace_back(name, place);
  return std::move(out_);
}

void Lowering::unsupported(const std::string& what) const {
  throw Error(Code::kUnsupported, "the planner has no kernel for " + what);
}

Place Lowering::new_place(Shape shape, DType dtype) {
  out_.buffers.push_back({shape, dtype});
  return {static_cast<int>(out_.buffers.size()) - 1, 0, shape};
}

Place Lowering::place(Value v) const {
  const auto it = places_.find(v.id);
  if (it == places_.end())
    unsupported("operation " + std::to_string(v.id) + " (" + op(v).tensors + ") outside its usual pattern");
  return it->second;
}

void Lowering::finish(Value v, Place p) {
  places_[v.id] = p;
  done_[index(v)] = true;
}

// The only user of v if it is of this kind.
std::optional<Value> Lowering::only_user(Value v, OpKind kind) const {
  if (users_[index(v)].size() != 1 || op(users_[index(v)][0]).kind != kind) return {};
  return users_[index(v)][0];
}

Lowering::Tail Lowering::tail_of(Value conv) {
  Tail t{.norm = {}, .residual = {}, .joined = {}, .relu = false, .end = conv};
  if (const auto bn = only_user(t.end, OpKind::kBatchNorm)) t.norm = op(*bn).tensors, t.end = mark(*bn);
  if (const auto sum = only_user(t.end, OpKind::kAdd); sum && left_for_later_.contains(other_operand(*sum, t.end).id)) {
    t.joined = other_operand(*sum, t.end), t.end = mark(*sum);
    if (const auto act = only_user(t.end, OpKind::kRelu)) t.relu = true, t.end = mark(*act);
    return t;
  }
  absorb_add_relu(t.end, t.residual, t.relu);
  return t;
}

Value Lowering::other_operand(Value sum, Value one) const {
  return op(sum).inputs[0] == one ? op(sum).inputs[1] : op(sum).inputs[0];
}

// A projected shortcut: a 1x1 convolution with batch norm, added to another convolution with batch norm. Left to that one.
bool Lowering::leave_to_sum(Value conv) {
  if (!options_.join_sources || op(conv).window.kernel != 1) return false;
  const auto bn = only_user(conv, OpKind::kBatchNorm);
  const auto sum = bn ? only_user(*bn, OpKind::kAdd) : std::nullopt;
  if (!sum) return false;
  const Value other = other_operand(*sum, *bn);
  if (places_.contains(other.id) || op(other).kind != OpKind::kBatchNorm || left_for_later_.contains(other.id)) return false;
  left_for_later_[bn->id] = conv;
  mark(conv), mark(*bn);
  return true;
}

void Lowering::absorb_add_relu(Value& end, std::optional<Value>& residual, bool& relu) {
  if (const auto sum = only_user(end, OpKind::kAdd)) {
    const Value other = other_operand(*sum, end);
    if (places_.contains(other.id)) residual = other, end = mark(*sum);
  }
  if (const auto act = only_user(end, OpKind::kRelu)) relu = true, end = mark(*act);
}

Value Lowering::mark(Value v) {
  done_[index(v)] = true;
  return v;
}

template <typename Make>
void Lowering::emit(Value v, Value src, DType dtype, const Make& make) {
  const Place from = place(src), to = new_place(op(v).shape, dtype);
  const std::string name = !op(v).tensors.empty() ? op(v).tensors : !op(v).name.empty() ? op(v).name : op(src).tensors;
  out_.ops.push_back({name, make(from, to)});
  finish(v, to);
}

void Lowering::lower_op(Value v) {
  const Op& o = op(v);
  switch (o.kind) {
    case OpKind::kInput:
      return finish(v, new_place(o.shape, options_.dtype));
    case OpKind::kConv:
      return lower_conv(v);
    case OpKind::kMaxPool:
      return emit(v, o.inputs[0], options_.dtype, [&](Place s, Place d) { return MaxPoolStep{s, d, o.window}; });
    case OpKind::kScaleChannels:
      return lower_gate(v);
    case OpKind::kAdaptivePool:
      return lower_pools(v);
    case OpKind::kResize:
      if (is_prior(v)) return void(mark(v));  // the head interpolates its priors itself
      return emit(v, o.inputs[0], options_.dtype, [&](Place s, Place d) { return ResizeStep{s, d, o.align_corners}; });
    case OpKind::kTransposedConv:
      return lower_transposed_conv(v);
    case OpKind::kConcat:
    case OpKind::kGlobalAverage:
    case OpKind::kLinear:
      return void(mark(v));  // exist only inside the head and the gates, which open them
    case OpKind::kBatchNorm:
    case OpKind::kRelu:
    case OpKind::kAdd:
      unsupported("operation " + std::to_string(v.id) + " on its own");
  }
}

void Lowering::lower_conv(Value v) {
  if (leave_to_sum(v)) return;
  const Op& o = op(v);
  const Tail t = tail_of(v);
  ConvStep step;
  step.src = place(o.inputs[0]), step.window = o.window, step.relu = t.relu;
  step.filters.push_back({o.tensors, t.norm, o.shape.c, 0, step.src.shape.c, true});
  std::vector<Value> ends{t.end};
  if (t.residual)
    step.residual = place(*t.residual);
  else if (t.joined)
    join(*t.joined, step);
  else
    add_siblings(v, t, step, ends);

  Shape all = o.shape;
  all.c = 0;
  for (const Value end : ends) all.c += op(end).shape.c;
  step.dst = new_place(all, out_.buffers[static_cast<std::size_t>(step.src.buffer)].dtype);
  Place part = step.dst;
  std::string name = o.tensors;
  for (const Value end : ends) {
    part.shape = op(end).shape;
    finish(end, part);
    part.first_channel += part.shape.c;
  }
  for (std::size_t i = 1; i < step.filters.size(); ++i) name += " + " + step.filters[i].conv;
  if (step.joined) name += " + " + step.joined_filters.conv;
  out_.ops.push_back({name, std::move(step)});
  done_[index(v)] = true;
}

void Lowering::join(Value shortcut, ConvStep& step) const {
  const Op& o = op(left_for_later_.at(shortcut.id));
  step.joined = place(o.inputs[0]);
  step.joined_stride = o.window.stride;
  step.joined_filters = {o.tensors, op(shortcut).tensors, o.shape.c, 0, step.joined.shape.c, true};
}

// Later convolutions of the network's input with the same window and tail join this one: the stem and the fusion branch's
// init.
void Lowering::add_siblings(Value v, const Tail& tail, ConvStep& step, std::vector<Value>& ends) {
  if (op(op(v).inputs[0]).kind != OpKind::kInput) return;
  for (const Value other : users_[index(op(v).inputs[0])]) {
    if (other == v || done_[index(other)] || op(other).kind != OpKind::kConv || op(other).window != op(v).window) continue;
    const Tail t = tail_of(other);
    if (t.residual || t.joined || t.relu != tail.relu) unsupported("convolutions of the input with different tails");
    step.filters.push_back({op(other).tensors, t.norm, op(other).shape.c, 0, step.src.shape.c, true});
    mark(other);
    ends.push_back(t.end);
  }
}

// Channels scaled by a sigmoid of two linear layers over their own means.
void Lowering::lower_gate(Value v) {
  const Value src = op(v).inputs[0], gate = op(v).inputs[1];
  if (!graph_.is_chain(gate, {OpKind::kLinear, OpKind::kLinear, OpKind::kGlobalAverage})) unsupported("a gate of other layers");
  const Op &excite = op(gate), &squeeze = op(excite.inputs[0]);
  if (op(squeeze.inputs[0]).inputs[0] != src || excite.activation != Activation::kSigmoid ||
      squeeze.activation != Activation::kRelu)
    unsupported("the gate " + excite.tensors);
  SqueezeExciteStep step{place(src), {}, {}, squeeze.tensors, excite.tensors, squeeze.shape.c, false};
  std::optional<Value> residual;
  Value end = v;
  absorb_add_relu(end, residual, step.relu);
  if (residual) step.residual = place(*residual);
  step.dst = new_place(op(end).shape, options_.dtype);
  out_.ops.push_back({excite.tensors.substr(0, excite.tensors.rfind('.')), step});  // "fusion.0.se"
  done_[index(v)] = true;
  finish(end, step.dst);
}

// With the score map that is added to it, if that is there already. The network's logit is f32.
void Lowering::lower_transposed_conv(Value v) {
  const Op& o = op(v);
  TransposedConvStep step{.src = place(o.inputs[0]), .residual = {}, .dst = {}, .window = o.window, .tensors = o.tensors};
  std::optional<Value> residual;
  bool relu = false;
  Value end = v;
  absorb_add_relu(end, residual, relu);
  if (relu) unsupported("a ReLU after the transposed convolution " + o.tensors);
  if (residual) step.residual = place(*residual);
  step.dst = new_place(op(end).shape, end == graph_.output ? DType::kF32 : options_.dtype);
  out_.ops.push_back({o.tensors, step});
  done_[index(v)] = true;
  finish(end, step.dst);
}

Lowered lower(const Graph& graph, const LowerOptions& options) { return Lowering(graph, options).run(); }

}  // namespace mfs::core
