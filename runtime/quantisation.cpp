#include "runtime/quantisation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "kernels/error.h"

namespace mfs::core {
namespace {

// Where three bits of mantissa cost most of what fp8 costs the masks, for few of the products (weights/mfs-small.md).
constexpr const char* kTooCoarseInFp8 = "layer1.";

constexpr int kChannels = 16;  // multiples of so many: 16 bytes, which GPUs load at once; fewer are not worth int8

// What a buffer holds at some point of the run.
struct Value {
  std::size_t writer = 0;
  bool map = false;           // of the photo, neither the input nor pooled context
  bool non_negative = false;  // all of it
};

// narrow convolution -> the operations that wrote what it convolves.
struct Writers {
  std::size_t src, joined;  // joined: src again, if nothing is joined
};
using NarrowConvs = std::map<std::size_t, Writers>;

// Follows the values through the network, operation by operation.
class Survey {
 public:
  Survey(const Lowered& network, DType type) : network_(network), values_(network.buffers.size()) {
    for (std::size_t i = 0; i < network.ops.size(); ++i) {
      const bool too_coarse = type == DType::kE4m3 && network.ops[i].name.starts_with(kTooCoarseInFp8);
      if (const auto* conv = std::get_if<ConvStep>(&network.ops[i].step); conv && fits(*conv) && !too_coarse)
        narrow[i] = {at(conv->src).writer, conv->joined ? at(conv->joined).writer : at(conv->src).writer};
      const Value written{i, is_map(network.ops[i].step), is_non_negative(network.ops[i].step)};
      for (const Place& p : access_of(network.ops[i].step).writes) values_[static_cast<std::size_t>(p.buffer)] = written;
    }
  }

  NarrowConvs narrow;

 private:
  const Value& at(const Place& p) const { return values_[static_cast<std::size_t>(p.buffer)]; }

  bool fits(const Place& p) const { return at(p).map && at(p).non_negative && p.shape.c % kChannels == 0; }
  bool fits(const ConvStep& conv) const {
    return fits(conv.src) && (!conv.joined || fits(conv.joined)) && conv.dst.shape.c % kChannels == 0;
  }

  bool is_map(const AnyStep& step) const {
    if (std::holds_alternative<PyramidPoolStep>(step)) return false;
    const auto* conv = std::get_if<ConvStep>(&step);
    return !conv || conv->src.buffer == network_.input.buffer || at(conv->src).map;
  }

  bool is_non_negative(const AnyStep& step) const {
    if (const auto* conv = std::get_if<ConvStep>(&step)) return conv->relu;
    if (const auto* gated = std::get_if<SqueezeExciteStep>(&step)) return gated->relu;
    if (const auto* pool = std::get_if<MaxPoolStep>(&step)) return at(pool->src).non_negative;
    if (const auto* resize = std::get_if<ResizeStep>(&step)) return at(resize->src).non_negative;
    return false;
  }

  const Lowered& network_;
  std::vector<Value> values_;
};

// "conv1 + init.0" is called after the first: other engines join other convolutions to it.
std::string name_of_value(const Lowered& network, std::size_t writer) {
  const std::string& name = network.ops[writer].name;
  return name.substr(0, name.find(" + "));
}

std::vector<QuantisedValue> values_of(const Lowered& network, const NarrowConvs& narrow) {
  std::set<std::size_t> writers;
  for (const auto& [reader, w] : narrow) writers.insert({w.src, w.joined});
  std::vector<QuantisedValue> values;
  for (const std::size_t w : writers) values.push_back({name_of_value(network, w), w});
  return values;
}

class Quantiser {
 public:
  Quantiser(Lowered& network, const Calibration& calibration, const QuantiseOptions& options)
      : network_(network), options_(options), narrow_(Survey(network, options.type).narrow) {
    for (const QuantisedValue& v : values_of(network, narrow_)) {
      const auto range = calibration.ranges.find(v.name);
      if (range == calibration.ranges.end()) fail("has no range for " + v.name);
      rounded_[v.writer] = {v.name, range->second / largest_of_narrow(options.type), -1};
    }
    // Ranges that are not needed are no fault: what is rounded depends on the engine.
    for (const auto& [name, range] : calibration.ranges)
      if (!has_operation(name)) fail("has a range for " + name + ", which is no operation of this network");
  }

  void run() {
    std::vector<LoweredOp> ops;
    for (std::size_t i = 0; i < network_.ops.size(); ++i) {
      LoweredOp op = network_.ops[i];
      if (const auto found = narrow_.find(i); found != narrow_.end()) {
        auto& conv = std::get<ConvStep>(op.step);
        conv.src.buffer = rounded_.at(found->second.src).buffer;
        if (conv.joined) conv.joined.buffer = rounded_.at(found->second.joined).buffer;
      }
      ops.push_back(std::move(op));
      if (const auto found = rounded_.find(i); found != rounded_.end()) round(ops, i, found->second);
    }
    network_.ops = std::move(ops);
  }

 private:
  struct Rounded {
    std::string name;
    float scale = 0;
    int buffer = -1;  // of the narrow type
  };

  bool has_operation(const std::string& name) const {
    for (std::size_t i = 0; i < network_.ops.size(); ++i)
      if (name_of_value(network_, i) == name) return true;
    return false;
  }
  [[noreturn]] static void fail(const std::string& what) {
    throw Error(Code::kBadWeights, "mfs.calibration " + what + "; calibrate again with mfs_calibrate");
  }

  // What operation `writer`, the last of `ops`, has written.
  void round(std::vector<LoweredOp>& ops, std::size_t writer, Rounded& rounded) {
    const int from = access_of(ops.back().step).writes.front().buffer;
    Buffer& buffer = network_.buffers[static_cast<std::size_t>(from)];
    if (can_write_narrow(writer, from)) {
      buffer.dtype = options_.type, buffer.scale = rounded.scale, rounded.buffer = from;
      return;
    }
    rounded.buffer = static_cast<int>(network_.buffers.size());
    const Place whole{from, 0, buffer.shape}, in_narrow{rounded.buffer, 0, buffer.shape};
    if (options_.copies && narrow_.contains(writer)) {
      std::get<ConvStep>(ops.back().step).copy = in_narrow;
    } else {
      ops.push_back({rounded.name + ".quantise", QuantiseStep{whole, in_narrow}});
    }
    network_.buffers.push_back({whole.shape, options_.type, rounded.scale});
  }

  // A narrow convolution that adds nothing, whose result only other narrow ones read, as what they convolve.
  bool can_write_narrow(std::size_t writer, int buffer) const {
    if (!narrow_.contains(writer) || std::get<ConvStep>(network_.ops[writer].step).residual) return false;
    for (std::size_t i = writer + 1; i < network_.ops.size(); ++i)
      for (const Place& p : access_of(network_.ops[i].step).reads)
        if (p.buffer == buffer && !(narrow_.contains(i) && std::get<ConvStep>(network_.ops[i].step).residual.buffer != buffer))
          return false;
    return true;
  }

  Lowered& network_;
  QuantiseOptions options_;
  NarrowConvs narrow_;
  std::map<std::size_t, Rounded> rounded_;  // by the operation that writes the value
};

}  // namespace

std::vector<QuantisedValue> quantised_values(const Lowered& network) {
  return values_of(network, Survey(network, DType::kU8).narrow);
}

void quantise(Lowered& network, const Calibration& calibration, const QuantiseOptions& options) {
  Quantiser(network, calibration, options).run();
}

}  // namespace mfs::core
