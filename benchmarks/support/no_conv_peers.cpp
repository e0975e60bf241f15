// Where the headers of cuDNN and cuBLASLt were not found.
#include "benchmarks/support/conv_peer.h"

namespace mfs::bench {

#if !MFS_HAVE_CUDNN
ConvPeers cudnn_peers(const core::Conv&, int) { return {"cuDNN", {}, "This build was made without cuDNN's headers."}; }
#endif
#if !MFS_HAVE_CUBLASLT
ConvPeers cublaslt_peers(const core::Conv&, int) { return {"cuBLASLt", {}, "This build was made without cuBLASLt's headers."}; }
#endif

}  // namespace mfs::bench
