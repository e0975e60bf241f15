// The steps of a planned network, queued in the caller's stream and, if the plan has two, in one of our own beside it.
#pragma once

#include <optional>
#include <vector>

#include "kernels/cuda/device.h"
#include "runtime/planned_network.h"

namespace mfs::core {

class CudaSteps {
 public:
  // Makes streams and events, after which queue() makes nothing. Throws Error. The network must outlive this; its device is the
  // current one.
  CudaSteps(const PlannedNetwork<Cuda>& network, const CudaDeviceInfo& device);

  // With two streams, `cuda` must be captured, and only one capture at a time can have this network: the second stream is part
  // of it until it ends.
  Status queue(const Cuda& cuda) const;

 private:
  Status record_after(int step, const Cuda& stream) const;

  const PlannedNetwork<Cuda>& network_;
  CudaDeviceInfo device_;
  std::optional<CudaStream> side_;                // stream 1
  std::vector<std::optional<CudaEvent>> events_;  // [step + 1]: after the step, if the other stream waits for it
};

}  // namespace mfs::core
