// Convolutions that do not depend on each other, as one launch on CUDA: those of the pyramid's pooled context, of which none
// fills a GPU.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/conv.h"

namespace mfs::core {

inline constexpr std::size_t kMostGrouped = 8;

// A problem as prepare() takes it (kernels/conv.h).
struct GroupedConv {
  Conv conv;
  ConvParameters parameters;
  std::string name;
};

class PreparedConvGroup {
 public:
  virtual ~PreparedConvGroup() = default;
  // One of them for every problem, in their order; no dst may be anything that another one reads or writes. Allocates nothing
  // of ours, throws nothing.
  virtual Status run(const Cuda&, std::span<const ConvArguments>) const = 0;
};

// One to kMostGrouped problems in f32. Throws Error when the backend cannot do it.
std::shared_ptr<const PreparedConvGroup> prepare_group(const Cuda&, std::span<const GroupedConv>, PackCache&);

}  // namespace mfs::core
