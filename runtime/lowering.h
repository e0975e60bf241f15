// Inside lower(): the state of one lowering. lowering.cpp does convolutions, pools and gates, lowering_head.cpp the pyramid
// head.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/lowered.h"

namespace mfs::core {

class Lowering {
 public:
  Lowering(const Graph& graph, const LowerOptions& options);
  Lowered run();

 private:
  // What follows a convolution and can be done by it: batch norm, a shortcut that is already there or has been left to this
  // convolution, ReLU.
  struct Tail {
    std::string norm;
    std::optional<Value> residual, joined;
    bool relu = false;
    Value end;  // the value after all of it
  };

  static std::size_t index(Value v) { return static_cast<std::size_t>(v.id); }
  const Op& op(Value v) const { return graph_.at(v); }
  [[noreturn]] void unsupported(const std::string& what) const;

  Place new_place(Shape shape, DType dtype);
  Place place(Value v) const;
  void finish(Value v, Place p);
  Value mark(Value v);
  std::optional<Value> only_user(Value v, OpKind kind) const;
  Value other_operand(Value sum, Value one) const;

  void lower_op(Value v);
  template <typename Make>
  void emit(Value v, Value src, DType dtype, const Make& make);
  void lower_conv(Value v);
  Tail tail_of(Value conv);
  void absorb_add_relu(Value& end, std::optional<Value>& residual, bool& relu);
  bool leave_to_sum(Value conv);
  void join(Value shortcut, ConvStep& step) const;
  void add_siblings(Value v, const Tail& tail, ConvStep& step, std::vector<Value>& ends);
  void lower_gate(Value v);
  void lower_transposed_conv(Value v);

  int find_head() const;
  bool is_prior(Value v) const;
  std::vector<Value> parts_of(Value v) const;
  void lower_pools(Value first);
  void lower_head(Value conv);
  void lower_priors(const std::vector<std::pair<Value, int>>& priors, const Filters& filters, PyramidHeadStep& head);

  const Graph& graph_;
  LowerOptions options_;
  std::vector<std::vector<Value>> users_;
  std::vector<bool> done_;
  std::map<int, Place> places_;
  std::map<int, Value> left_for_later_;  // a projected shortcut's value -> its convolution
  Lowered out_;
};

}  // namespace mfs::core
