// The emulated GPU's card: every peak kernel once and briefly, and figures that mean nothing. It is a Hopper.
#include <algorithm>
#include <vector>

#include "benchmarks/support/cuda_peaks.h"
#include "benchmarks/support/device_card.h"
#include "benchmarks/support/settings.h"
#include "kernels/error.h"

namespace mfs::bench {
namespace {

using namespace core;  // NOLINT

void require(const Status& s) {
  if (!s) throw Error(s.code(), s.message());
}

}  // namespace

DeviceCard measure_device(const Cuda& cuda, const CudaDeviceInfo& info) {
  settings().cuda.capability = 90;
  constexpr std::int64_t kBytes = 16 * 5000;  // a last block that is not full
  const std::vector<std::byte> from(kBytes, std::byte{1});
  std::vector<std::byte> to(kBytes + 16);
  require(queue_copy(cuda, from.data(), to.data(), kBytes));
  require(wait(cuda));
  if (!std::equal(from.begin(), from.end(), to.begin()) || to[kBytes] != std::byte{})
    throw Error(Code::kInternal, "the copy kernel copies something else");
  std::vector<float> out(static_cast<std::size_t>(cuda.multiprocessors) * 2048, 3.0f);
  double flops = 0;
  require(queue_f32(cuda, out.data(), 2, flops));
  require(queue_mma(cuda, out.data(), 1, flops));
  require(wait(cuda));
  if (std::ranges::any_of(out, [](float v) { return v != 3; })) throw Error(Code::kInternal, "a peak kernel writes");
  return {info.name, "emulated", std::size_t{64} << 10, 1, 1, 1, "mma.sync"};
}

}  // namespace mfs::bench
