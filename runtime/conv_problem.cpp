#include "runtime/conv_problem.h"

namespace mfs::core {
namespace {

const Buffer& buffer_of(const Lowered& network, const Place& p) { return network.buffers[static_cast<std::size_t>(p.buffer)]; }

// The convolution all of whose result the gate scales.
ConvStep* writer_of(Lowered& network, const Place& src) {
  if (src.shape != buffer_of(network, src).shape) return nullptr;
  for (LoweredOp& op : network.ops)
    if (auto* conv = std::get_if<ConvStep>(&op.step); conv && conv->dst.buffer == src.buffer) return conv;
  return nullptr;
}

}  // namespace

Conv problem_of(const Lowered& network, const ConvStep& s) {
  const Buffer &src = buffer_of(network, s.src), &dst = buffer_of(network, s.dst);
  Conv c{.src = s.src.shape,
         .dst = dst.shape,
         .kernel = s.window.kernel,
         .stride = s.window.stride,
         .dilation = s.window.dilation,
         .pad = s.window.pad,
         .dtype = src.dtype,
         .src_pitch = src.shape.c,
         .dst_pitch = dst.shape.c,
         .residual_pitch = 0,
         .residual = static_cast<bool>(s.residual),
         .relu = s.relu,
         .src_scale = src.scale,
         .dst_scale = dst.scale,
         .copy_scale = s.copy ? buffer_of(network, s.copy).scale : 0,
         .wide = buffer_of(network, network.input).dtype,
         .sums = static_cast<bool>(s.sums)};
  if (s.residual) c.residual_pitch = buffer_of(network, s.residual).shape.c;
  if (s.joined) {
    const Buffer& from = buffer_of(network, s.joined);
    c.joined = s.joined.shape, c.joined_stride = s.joined_stride, c.joined_pitch = from.shape.c, c.joined_scale = from.scale;
  }
  return c;
}

void add_sums(Lowered& network, const std::function<int(const Conv&)>& parts) {
  for (LoweredOp& op : network.ops) {
    auto* const gate = std::get_if<SqueezeExciteStep>(&op.step);
    ConvStep* const conv = gate ? writer_of(network, gate->src) : nullptr;
    const int count = conv ? parts(problem_of(network, *conv)) : 0;
    if (count == 0) continue;
    const Shape shape{gate->src.shape.n, 1, count, gate->src.shape.c};
    conv->sums = gate->sums = {static_cast<int>(network.buffers.size()), 0, shape};
    network.buffers.push_back({shape, DType::kF32});
  }
}

}  // namespace mfs::core
