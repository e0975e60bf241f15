#include "benchmarks/support/cuda_peaks.h"

namespace mfs::bench {

core::Status queue_wgmma(const core::Cuda&, float*, int, double&) {
  return {core::Code::kUnsupported, "This build has no code for capability 9.0."};
}

}  // namespace mfs::bench
