#include "runtime/cuda_steps.h"

namespace mfs::core {

CudaSteps::CudaSteps(const PlannedNetwork<Cuda>& network, const CudaDeviceInfo& device)
    : network_(network), device_(device), events_(network.steps().size() + 1) {
  device_.programmatic = device_.programmatic && kernels_wait();
  const StreamOrder& order = network.order();
  for (int i = 0; i <= order.end(); ++i) {
    if (order.stream(i) == 1 && !side_) side_.emplace();
    if (order.awaits(i) != StreamOrder::kNothing) events_[static_cast<std::size_t>(order.awaits(i) + 1)].emplace();
  }
}

Status CudaSteps::record_after(int step, const Cuda& stream) const {
  const std::optional<CudaEvent>& event = events_[static_cast<std::size_t>(step + 1)];
  return event ? event->record(stream) : Status{};
}

// The first step waits for whatever is queued before, the others only for kernels of ours.
//
// In stream 0 they do that programmatically: a kernel may begin when the one before has got past its wait, so that the last but
// one is complete; and when it is past its own wait, all before it are (simt/programmatic_launch.h). Two streams leave that as
// it is, because nothing that crosses them is programmatic. An event stands for a complete kernel, and so for all before it in
// its stream. The step that waits for it is launched plainly: it begins when the event has come and its own stream's step
// before is complete, and what is launched programmatically after it begins later still. So when a kernel is past its wait,
// every step is complete that StreamOrder::before() says is. (Of a programmatic launch in a captured stream that has more to
// wait for than the kernel before, CUDA's documentation says nothing.)
//
// Stream 1 is launched plainly altogether: its chain is the shorter one, blocks that merely wait would hold multiprocessors
// that stream 0 can use, and a capture's streams count as joined only by edges that are not programmatic.
Status CudaSteps::queue(const Cuda& cuda) const {
  const StreamOrder& order = network_.order();
  Cuda streams[] = {cuda, side_ ? side_->on(device_) : Cuda{}};
  if (Status s = record_after(StreamOrder::kStart, cuda); !s) return s;
  for (int i = 0; i <= order.end(); ++i) {
    Cuda& stream = streams[order.stream(i)];
    if (const int other = order.awaits(i); other != StreamOrder::kNothing) {
      if (Status s = events_[static_cast<std::size_t>(other + 1)]->wait_in(stream); !s) return s;
      stream.programmatic = false;
    }
    if (i == order.end()) break;
    if (Status s = network_.steps()[static_cast<std::size_t>(i)].run(stream); !s) return s;
    if (Status s = record_after(i, stream); !s) return s;
    stream.programmatic = device_.programmatic && order.stream(i) == 0;
  }
  return {};
}

}  // namespace mfs::core
