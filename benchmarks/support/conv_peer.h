// A convolution as a library of the vendor computes it: what ours is measured against on a GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/conv.h"

namespace mfs::bench {

// Dense NHWC tensors and (cout, kernel, kernel, cin) weights of the problem's type; bias: cout of it.
struct PeerArguments {
  const void *src, *weights, *bias, *residual;
  void *dst, *workspace;
};

// One algorithm that solves a problem with bias, residual and ReLU in the same pass.
class ConvPeer {
 public:
  virtual ~ConvPeer() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual const std::string& algorithm() const = 0;
  virtual core::Status run(const core::Cuda&, const PeerArguments&) const = 0;  // only queues; may be captured
};

// Some algorithms of a library, those first that its own heuristics prefer.
struct ConvPeers {
  std::string name;  // "cuDNN 9.19.0"
  std::vector<std::unique_ptr<ConvPeer>> choices;
  std::string why_none;  // a sentence when there are none
};

ConvPeers cudnn_peers(const core::Conv& problem, int most);
ConvPeers cublaslt_peers(const core::Conv& problem, int most);  // 1x1 with stride 1, f16 and bf16

// cuDNN's choices for a GPU that need not be there, from its properties as cuDNN writes them (JSON): what tests can check
// without one. They cannot run.
ConvPeers cudnn_peers_for(const std::string& device_properties, const core::Conv& problem, int most);

}  // namespace mfs::bench
