#include "layers/graph.h"

#include <utility>

#include "kernels/conv.h"
#include "kernels/error.h"
#include "kernels/max_pool.h"
#include "kernels/transposed_conv.h"

namespace mfs::core {
namespace {

std::string dims_to_string(const std::vector<std::int64_t>& dims) {
  std::string s = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) s += (i ? ", " : "") + (dims[i] < 0 ? "any" : std::to_string(dims[i]));
  return s + "]";
}

bool matches(const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& wanted) {
  if (dims.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < dims.size(); ++i)
    if (wanted[i] >= 0 && dims[i] != wanted[i]) return false;
  return true;
}

}  // namespace

bool Graph::is_chain(Value v, std::initializer_list<OpKind> kinds) const {
  for (const OpKind kind : kinds) {
    if (at(v).kind != kind) return false;
    if (!at(v).inputs.empty()) v = at(v).inputs[0];
  }
  return true;
}

GraphBuilder::GraphBuilder(const WeightsFile& weights, Shape input) : weights_(weights) {
  record({.kind = OpKind::kInput, .inputs = {}, .shape = input, .tensors = {}, .window = {}, .name = "input"});
}

Value GraphBuilder::record(Op op) {
  graph_.ops.push_back(std::move(op));
  return {static_cast<int>(graph_.ops.size()) - 1};
}

// A negative wanted dimension matches any size.
const StoredTensor& GraphBuilder::tensor(const std::string& name, const std::vector<std::int64_t>& dims) {
  const StoredTensor* t = weights_.find(name);
  if (!t) throw Error(Code::kBadWeights, weights_.path() + ": tensor " + name + " is missing");
  if (!matches(t->dims, dims))
    throw Error(Code::kBadWeights, weights_.path() + ": tensor " + name + " has shape " + dims_to_string(t->dims) +
                                       ", the network needs " + dims_to_string(dims));
  used_.insert(name);
  return *t;
}

bool GraphBuilder::has(const Scope& at) const { return weights_.find(at.path + ".weight") != nullptr; }

Value GraphBuilder::conv(const Scope& at, Value x, Window w) {
  const Shape in = shape(x);
  const std::int64_t cout = tensor(at.path + ".weight", {-1, in.c, w.kernel, w.kernel}).dims[0];
  if (weights_.find(at.path + ".bias")) tensor(at.path + ".bias", {cout});
  const Shape out{in.n, conv_size(in.h, w.kernel, w.stride, w.dilation, w.pad),
                  conv_size(in.w, w.kernel, w.stride, w.dilation, w.pad), static_cast<int>(cout)};
  return record({.kind = OpKind::kConv, .inputs = {x}, .shape = out, .tensors = at.path, .window = w, .name = {}});
}

Value GraphBuilder::conv_bias(const Scope& at, Value x, Window w, int filters) {
  tensor(at.path + ".weight", {filters, shape(x).c, w.kernel, w.kernel});
  tensor(at.path + ".bias", {filters});
  return conv(at, x, w);
}

Value GraphBuilder::transposed_conv(const Scope& at, Value x, Window w) {
  const Shape in = shape(x);
  tensor(at.path + ".weight", {in.c, in.c, w.kernel, w.kernel});
  const Shape out{in.n, transposed_conv_size(in.h, w.kernel, w.stride, w.pad),
                  transposed_conv_size(in.w, w.kernel, w.stride, w.pad), in.c};
  return record({.kind = OpKind::kTransposedConv, .inputs = {x}, .shape = out, .tensors = at.path, .window = w, .name = {}});
}

Value GraphBuilder::batch_norm(const Scope& at, Value x) {
  for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"}) tensor(at.path + part, {shape(x).c});
  return record({.kind = OpKind::kBatchNorm, .inputs = {x}, .shape = shape(x), .tensors = at.path, .window = {}, .name = {}});
}

Value GraphBuilder::relu(Value x) {
  return record({.kind = OpKind::kRelu, .inputs = {x}, .shape = shape(x), .tensors = {}, .window = {}, .name = {}});
}

Value GraphBuilder::add(Value a, Value b) {
  if (shape(a) != shape(b))
    throw Error(Code::kBadWeights, weights_.path() + ": the branches of a residual block have shapes " + to_string(shape(a)) +
                                       " and " + to_string(shape(b)));
  return record({.kind = OpKind::kAdd, .inputs = {a, b}, .shape = shape(a), .tensors = {}, .window = {}, .name = {}});
}

Value GraphBuilder::max_pool(Value x, Window w) {
  const Shape in = shape(x);
  const Shape out{in.n, pooled_size(in.h, w.kernel, w.stride, w.pad, w.ceil_mode),
                  pooled_size(in.w, w.kernel, w.stride, w.pad, w.ceil_mode), in.c};
  return record({.kind = OpKind::kMaxPool, .inputs = {x}, .shape = out, .tensors = {}, .window = w, .name = {}});
}

Value GraphBuilder::global_average(Value x) {
  const Shape out{shape(x).n, 1, 1, shape(x).c};
  return record({.kind = OpKind::kGlobalAverage, .inputs = {x}, .shape = out, .tensors = {}, .window = {}, .name = {}});
}

Value GraphBuilder::linear(const Scope& at, Value x, Activation activation) {
  const Shape in = shape(x);
  const StoredTensor* t = weights_.find(at.path + ".weight");
  std::vector<std::int64_t> wanted{-1, in.c};
  if (t && t->dims.size() == 4) wanted = {-1, in.c, 1, 1};
  const std::int64_t cout = tensor(at.path + ".weight", wanted).dims[0];
  if (weights_.find(at.path + ".bias")) tensor(at.path + ".bias", {cout});
  const Shape out{in.n, 1, 1, static_cast<int>(cout)};
  return record({.kind = OpKind::kLinear,
                 .inputs = {x},
                 .shape = out,
                 .tensors = at.path,
                 .window = {},
                 .activation = activation,
                 .name = {}});
}

Value GraphBuilder::scale_channels(Value x, Value gate) {
  if (shape(gate).c != shape(x).c)
    throw Error(Code::kBadWeights, weights_.path() + ": a gate of " + std::to_string(shape(gate).c) + " channels on " +
                                       std::to_string(shape(x).c) + " channels");
  return record(
      {.kind = OpKind::kScaleChannels, .inputs = {x, gate}, .shape = shape(x), .tensors = {}, .window = {}, .name = {}});
}

Value GraphBuilder::adaptive_pool(Value x, int bins) {
  const Shape out{shape(x).n, bins, bins, shape(x).c};
  return record({.kind = OpKind::kAdaptivePool, .inputs = {x}, .shape = out, .tensors = {}, .window = {}, .name = {}});
}

Value GraphBuilder::resize(Value x, int height, int width, bool align_corners) {
  const Shape out{shape(x).n, height, width, shape(x).c};
  return record({.kind = OpKind::kResize,
                 .inputs = {x},
                 .shape = out,
                 .tensors = {},
                 .window = {},
                 .align_corners = align_corners,
                 .name = {}});
}

Value GraphBuilder::concat(std::vector<Value> xs) {
  Shape out = shape(xs.front());
  out.c = 0;
  for (const Value x : xs) out.c += shape(x).c;
  return record({.kind = OpKind::kConcat, .inputs = std::move(xs), .shape = out, .tensors = {}, .window = {}, .name = {}});
}

Value GraphBuilder::named(Value v, std::string name) {
  graph_.ops[static_cast<std::size_t>(v.id)].name = std::move(name);
  return v;
}

Graph GraphBuilder::finish(Value output) {
  for (const StoredTensor& t : weights_.tensors())
    if (!used_.contains(t.name))
      throw Error(Code::kBadWeights, weights_.path() + ": tensor " + t.name + " does not belong to a " +
                                         to_string(weights_.network().variant) + " network of these blocks");
  graph_.output = output;
  return std::move(graph_);
}

}  // namespace mfs::core
