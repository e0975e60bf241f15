// The peer of every convolution: oneDNN called directly, at its best.
#pragma once

#include <memory>
#include <string>

#include "kernels/backend.h"
#include "kernels/conv.h"

namespace mfs::bench {

// The dense direct algorithm in whatever layouts oneDNN prefers for source, weights and result; weights of its own, small
// random numbers. Ignores the pitches of the problem: its tensors are dense.
class OneDnnConv {
 public:
  OneDnnConv(const core::Cpu& cpu, const core::Conv& problem);
  ~OneDnnConv();
  OneDnnConv(OneDnnConv&&) noexcept;

  std::size_t src_bytes() const;
  std::size_t dst_bytes() const;
  void run(void* src, void* dst) const;
  const std::string& algorithm() const;

 private:
  struct Primitive;
  std::unique_ptr<Primitive> primitive_;
};

}  // namespace mfs::bench
