// The pyramid head, rewritten so that neither the upsampled priors nor a concat exist (network.md section 3).
#include "runtime/lowering.h"

namespace mfs::core {

// The last convolution but one: a 1x1 over a concat with upsampled priors, followed by norm, ReLU and a 1x1 to one channel.
// -1 for a network that ends in a sum (VGG): there is no head to rewrite.
int Lowering::find_head() const {
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
std::vector<Value> Lowering::parts_of(Value v) const {
  if (op(v).kind != OpKind::kConcat) return {v};
  std::vector<Value> parts;
  for (const Value x : op(v).inputs)
    for (const Value p : parts_of(x)) parts.push_back(p);
  return parts;
}

// conv1x1(concat(up(p_i)..., f_j...)) = sum_i up(W_i p_i) + sum_j W_j f_j
void Lowering::lower_head(Value conv) {
  const Value norm = users_[index(conv)][0], act = users_[index(norm)][0];
  const Op& o = op(conv);
  PyramidHeadStep head{.features = {}, .priors = {}, .final_conv = op(graph_.output).tensors, .align_corners = true, .dst = {}};
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
    if (i == 1 && options_.join_sources) {
      auto& before = std::get<ConvStep>(out_.ops.back().step);
      before.joined = place(value), before.joined_filters = f;
      continue;
    }
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
bool Lowering::is_prior(Value v) const {
  return graph_.is_chain(v, {OpKind::kResize, OpKind::kRelu, OpKind::kBatchNorm, OpKind::kConv, OpKind::kAdaptivePool});
}

// All grids of one value in one pass per part of it: the concat that is pooled never exists, its pooled image does.
void Lowering::lower_pools(Value first) {
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

void Lowering::lower_priors(const std::vector<std::pair<Value, int>>& priors, const Filters& filters, PyramidHeadStep& head) {
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

}  // namespace mfs::core
