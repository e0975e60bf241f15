// Fusion: from the recorded mathematics to the kernels' operations.
#include <map>
#include <optional>
#include <utility>

#include "kernels/error.h"
#include "runtime/lowered.h"

namespace mfs::core {
namespace {

class Lowering {
 public:
  Lowering(const Graph& graph, const LowerOptions& options)
      : graph_(graph), options_(options), users_(graph.ops.size()), done_(graph.ops.size()) {
    for (std::size_t i = 0; i < graph.ops.size(); ++i)
      for (const Value v : graph.ops[i].inputs) users_[index(v)].push_back({static_cast<int>(i)});
  }

  Lowered run() {
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

 private:
  static std::size_t index(Value v) { return static_cast<std::size_t>(v.id); }
  const Op& op(Value v) const { return graph_.at(v); }

  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(Code::kUnsupported, "the planner has no kernel for " + what);
  }

  Place new_place(Shape shape, DType dtype) {
    out_.buffers.push_back({shape, dtype});
    return {static_cast<int>(out_.buffers.size()) - 1, 0, shape};
  }

  Place place(Value v) const {
    const auto it = places_.find(v.id);
    if (it == places_.end())
      unsupported("operation " + std::to_string(v.id) + " (" + op(v).tensors + ") outside its usual pattern");
    return it->second;
  }

  void finish(Value v, Place p) {
    places_[v.id] = p;
    done_[index(v)] = true;
  }

  // The only user of v if it is of this kind.
  std::optional<Value> only_user(Value v, OpKind kind) const {
    if (users_[index(v)].size() != 1 || op(users_[index(v)][0]).kind != kind) return {};
    return users_[index(v)][0];
  }

  // What follows a convolution and can be done by it: batch norm, a shortcut that is already there or has been left to this
  // convolution, ReLU.
  struct Tail {
    std::string norm;
    std::optional<Value> residual, joined;
    bool relu = false;
    Value end;  // the value after all of it
  };
  Tail tail_of(Value conv) {
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
  Value other_operand(Value sum, Value one) const { return op(sum).inputs[0] == one ? op(sum).inputs[1] : op(sum).inputs[0]; }

  // A projected shortcut: a 1x1 convolution with batch norm, added to another convolution with batch norm. Left to that one.
  bool leave_to_sum(Value conv) {
    if (!options_.join_shortcuts || op(conv).window.kernel != 1) return false;
    const auto bn = only_user(conv, OpKind::kBatchNorm);
    const auto sum = bn ? only_user(*bn, OpKind::kAdd) : std::nullopt;
    if (!sum) return false;
    const Value other = other_operand(*sum, *bn);
    if (places_.contains(other.id) || op(other).kind != OpKind::kBatchNorm || left_for_later_.contains(other.id)) return false;
    left_for_later_[bn->id] = conv;
    mark(conv), mark(*bn);
    return true;
  }
  void absorb_add_relu(Value& end, std::optional<Value>& residual, bool& relu) {
    if (const auto sum = only_user(end, OpKind::kAdd)) {
      const Value other = other_operand(*sum, end);
      if (places_.contains(other.id)) residual = other, end = mark(*sum);
    }
    if (const auto act = only_user(end, OpKind::kRelu)) relu = true, end = mark(*act);
  }
  Value mark(Value v) {
    done_[index(v)] = true;
    return v;
  }

  void lower_op(Value v) {
    const Op& o = op(v);
    switch (o.kind) {
      case OpKind::kInput:
        return finish(v, new_place(o.shape, options_.dtype));
      case OpKind::kConv:
        return lower_conv(v);
      case OpKind::kMaxPool:
        return emit(v, o.inputs[0], options_.dtype, [&](Place s, Place d) { return MaxPoolStep{s, d, o.window}; });
      case OpKind::kGlobalAverage:
        return emit(v, o.inputs[0], DType::kF32, [](Place s, Place d) { return GlobalAverageStep{s, d}; });
      case OpKind::kLinear:
        return emit(v, o.inputs[0], DType::kF32, [&](Place s, Place d) { return LinearStep{s, d, o.tensors, o.activation}; });
      case OpKind::kScaleChannels:
        return lower_scale(v);
      case OpKind::kAdaptivePool:
        return lower_pools(v);
      case OpKind::kResize:
        if (is_prior(v)) return void(mark(v));  // the head interpolates its priors itself
        return emit(v, o.inputs[0], options_.dtype, [&](Place s, Place d) { return ResizeStep{s, d, o.align_corners}; });
      case OpKind::kTransposedConv:
        return lower_transposed_conv(v);
      case OpKind::kConcat:
        return void(mark(v));  // exists only inside the head, which opens it
      case OpKind::kBatchNorm:
      case OpKind::kRelu:
      case OpKind::kAdd:
        unsupported("operation " + std::to_string(v.id) + " on its own");
    }
  }

  template <typename Make>
  void emit(Value v, Value src, DType dtype, const Make& make) {
    const Place from = place(src), to = new_place(op(v).shape, dtype);
    const std::string name = !op(v).tensors.empty() ? op(v).tensors : !op(v).name.empty() ? op(v).name : op(src).tensors;
    out_.ops.push_back({name, make(from, to)});
    finish(v, to);
  }

  void lower_conv(Value v) {
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

  void join(Value shortcut, ConvStep& step) const {
    const Op& o = op(left_for_later_.at(shortcut.id));
    step.joined = place(o.inputs[0]);
    step.joined_stride = o.window.stride;
    step.joined_filters = {o.tensors, op(shortcut).tensors, o.shape.c, 0, step.joined.shape.c, true};
  }

  // Later convolutions of the network's input with the same window and tail join this one: the stem and the fusion branch's
  // init.
  void add_siblings(Value v, const Tail& tail, ConvStep& step, std::vector<Value>& ends) {
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

  void lower_scale(Value v) {
    ChannelScaleStep step{
        .src = place(op(v).inputs[0]), .gate = place(op(v).inputs[1]), .residual = {}, .dst = {}, .relu = false};
    std::optional<Value> residual;
    Value end = v;
    absorb_add_relu(end, residual, step.relu);
    if (residual) step.residual = place(*residual);
    step.dst = new_place(op(end).shape, options_.dtype);
    out_.ops.push_back({op(op(v).inputs[1]).tensors + ".scale", step});
    done_[index(v)] = true;
    finish(end, step.dst);
  }

  // With the score map that is added to it, if that is there already. The network's logit is f32.
  void lower_transposed_conv(Value v) {
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

  // The last convolution but one: a 1x1 over a concat with upsampled priors, followed by norm, ReLU and a 1x1 to one channel.
  // -1 for a network that ends in a sum (VGG): there is no head to rewrite.
  int find_head() const {
    const Op& final_conv = op(graph_.output);
    if (final_conv.kind == OpKind::kAdd) return -1;
    Value v = graph_.output;
    for (const OpKind kind : {OpKind::kConv, OpKind::kRelu, OpKind::kBatchNorm, OpKind::kConv}) {
      if (op(v).kind != kind || op(v).window != Window{}) unsupported("a network that does not end in a pyramid pooling head");
      v = op(v).inputs[0];
    }
    if (final_conv.shape.c != 1 || op(v).kind != OpKind::kConcat)
      unsupported("a network that does not end in a pyramid pooling head");
    return users_[index(v)].back().id;
  }

  // Parts of a concat, nested concats opened.
  std::vector<Value> parts_of(Value v) const {
    if (op(v).kind != OpKind::kConcat) return {v};
    std::vector<Value> parts;
    for (const Value x : op(v).inputs)
      for (const Value p : parts_of(x)) parts.push_back(p);
    return parts;
  }

  // conv1x1(concat(up(p_i)..., f_j...)) = sum_i up(W_i p_i) + sum_j W_j f_j
  void lower_head(Value conv) {
    const Value norm = users_[index(conv)][0], act = users_[index(norm)][0];
    const Op& o = op(conv);
    PyramidHeadStep head{
        .features = {}, .priors = {}, .final_conv = op(graph_.output).tensors, .align_corners = true, .dst = {}};
    int first_in = 0;
    std::vector<std::pair<Value, int>> features, priors;  // with their first input channel
    for (const Value part : parts_of(o.inputs[0])) {
      (is_prior(part) ? priors : features).emplace_back(part, first_in);
      first_in += op(part).shape.c;
    }
    const Filters filters{o.tensors, op(norm).tensors, o.shape.c, 0, 0, true};
    lower_priors(priors, filters, head);

    head.features = new_place(o.shape, options_.dtype);
    for (std::size_t i = 0; i < features.size(); ++i) {
      const auto [value, first] = features[i];
      Filters f = filters;
      f.first_in = first, f.in = op(value).shape.c, f.shift = i == 0;
      ConvStep step;
      step.src = place(value), step.dst = head.features, step.filters = {f};
      if (i) step.residual = head.features;
      out_.ops.push_back({o.tensors + (i ? ".late" : ""), std::move(step)});
    }
    head.dst = new_place(op(graph_.output).shape, DType::kF32);
    out_.ops.push_back({head.final_conv, head});
    for (const Value v : {conv, norm, act}) done_[index(v)] = true;
    finish(graph_.output, head.dst);
  }

  // Upsampled context: resize <- relu <- norm <- conv <- adaptive pool.
  bool is_prior(Value v) const {
    for (const OpKind kind : {OpKind::kResize, OpKind::kRelu, OpKind::kBatchNorm, OpKind::kConv}) {
      if (op(v).kind != kind) return false;
      v = op(v).inputs[0];
    }
    return op(v).kind == OpKind::kAdaptivePool;
  }

  // All grids of one value in one pass per part of it: the concat that is pooled never exists, its pooled image does.
  void lower_pools(Value first) {
    const Value src = op(first).inputs[0];
    std::vector<Place> grids;
    for (const Value v : users_[index(src)]) {
      if (op(v).kind != OpKind::kAdaptivePool) continue;
      grids.push_back(new_place(op(v).shape, DType::kF32));
      finish(v, grids.back());
    }
    int first_channel = 0;
    for (const Value part : parts_of(src)) {
      PyramidPoolStep step{.src = place(part), .grids = grids};
      for (Place& grid : step.grids) grid.first_channel = first_channel, grid.shape.c = step.src.shape.c;
      out_.ops.push_back({"pyramid_pool" + std::string(first_channel ? ".late" : ""), step});
      first_channel += step.src.shape.c;
    }
  }

  void lower_priors(const std::vector<std::pair<Value, int>>& priors, const Filters& filters, PyramidHeadStep& head) {
    for (const auto& [resize, first_in] : priors) {
      const Place prior = place(op(resize).inputs[0]);
      Filters f = filters;
      f.first_in = first_in, f.in = prior.shape.c, f.shift = false;
      Shape shape = prior.shape;
      shape.c = filters.out;
      const Place product = new_place(shape, DType::kF32);
      const std::string name = filters.conv + ".prior" + std::to_string(head.priors.size());
      ConvStep step;
      step.src = prior, step.dst = product, step.filters = {f};
      out_.ops.push_back({name, std::move(step)});
      head.priors.push_back(product);
      head.align_corners = op(resize).align_corners;
    }
  }

  const Graph& graph_;
  LowerOptions options_;
  std::vector<std::vector<Value>> users_;
  std::vector<bool> done_;
  std::map<int, Place> places_;
  std::map<int, Value> left_for_later_;  // a projected shortcut's value -> its convolution
  Lowered out_;
};

}  // namespace

Lowered lower(const Graph& graph, const LowerOptions& options) { return Lowering(graph, options).run(); }

}  // namespace mfs::core
