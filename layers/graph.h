// The recorder: layers call it to write the network down as operations on values. It states the mathematics only; what is
// fused, where things lie in memory and in which precision is the planner's business (runtime/).
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor_view.h"
#include "weights/weights_file.h"

namespace mfs::core {

struct Value {
  int id = -1;
  bool operator==(const Value&) const = default;
};

enum class OpKind {
  kInput,
  kConv,
  kBatchNorm,
  kRelu,
  kAdd,
  kMaxPool,
  kGlobalAverage,
  kLinear,
  kScaleChannels,
  kAdaptivePool,
  kResize,
  kConcat,
  kTransposedConv
};

enum class Activation { kNone, kRelu, kSigmoid };

struct Window {
  int kernel = 1, stride = 1, dilation = 1, pad = 0;
  bool ceil_mode = false;  // pooling only
  bool operator==(const Window&) const = default;
};

// One recorded operation; its index is the id of the value it makes. `tensors` is the state_dict prefix of its parameters.
struct Op {
  OpKind kind;
  std::vector<Value> inputs;
  Shape shape;
  std::string tensors;
  Window window;                              // kConv, kMaxPool, kTransposedConv
  Activation activation = Activation::kNone;  // kLinear
  bool align_corners = true;                  // kResize
  std::string name;                           // of the value, for profiles and parity tests; may be empty
};

struct Graph {
  std::vector<Op> ops;
  Value output;

  const Op& at(Value v) const { return ops[static_cast<std::size_t>(v.id)]; }
  bool is_chain(Value v, std::initializer_list<OpKind> kinds) const;  // v, its first input, that one's first input ...
};

// A prefix of tensor names: Scope{"layer1"} / "0" / "conv1" is "layer1.0.conv1".
struct Scope {
  std::string path;
  Scope operator/(std::string_view name) const { return {path.empty() ? std::string(name) : path + "." + std::string(name)}; }
};

// Records into a Graph and checks every tensor it names: absent or misshapen tensors throw Error(kBadWeights).
class GraphBuilder {
 public:
  GraphBuilder(const WeightsFile& weights, Shape input);

  Value input() const { return {0}; }
  Value conv(const Scope& at, Value x, Window w = {});  // bias when the file has one; filters' count from the file
  Value conv_bias(const Scope& at, Value x, Window w = {}, int filters = -1);  // the file must have a bias, and so many filters
  Value transposed_conv(const Scope& at, Value x, Window w);                   // to as many channels; no bias
  Value batch_norm(const Scope& at, Value x);
  Value conv_bn(const Scope& conv_at, const Scope& bn_at, Value x, Window w = {}) {
    return batch_norm(bn_at, conv(conv_at, x, w));
  }
  Value relu(Value x);
  Value add(Value a, Value b);
  Value max_pool(Value x, Window w);
  Value global_average(Value x);
  Value linear(const Scope& at, Value x, Activation activation);  // 2-D or 1x1 weights, bias optional
  Value scale_channels(Value x, Value gate);
  Value adaptive_pool(Value x, int bins);
  Value resize(Value x, int height, int width, bool align_corners);
  Value concat(std::vector<Value> xs);

  const Shape& shape(Value v) const { return graph_.at(v).shape; }
  bool has(const Scope& at) const;  // whether the file has a tensor `at`.weight
  Value named(Value v, std::string name);

  Graph finish(Value output);  // throws Error(kBadWeights) if the file has a tensor that no operation used

 private:
  Value record(Op op);
  const StoredTensor& tensor(const std::string& name, const std::vector<std::int64_t>& dims);

  const WeightsFile& weights_;
  Graph graph_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace mfs::core
