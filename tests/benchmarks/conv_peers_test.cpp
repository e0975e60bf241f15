// The vendor's libraries as peers, without a GPU: cuDNN plans for the properties of one that is not there.
#include <doctest/doctest.h>

#include "benchmarks/support/conv_peer.h"

namespace mfs::bench {
namespace {

using core::Conv;
using core::DType;

// An H100 in the form in which cuDNN 9 stores a device.
constexpr const char* kH100 = R"({"deviceName": "H100", "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0,
  "multiProcessorCount": 132, "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "regsPerBlock": 65536, "warpSize": 32, "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024,
  "maxThreadsPerSM": 2048, "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1, "totalGlobalMem": 85000000000,
  "smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "l2CacheSize": 52428800})";

Conv pointwise(int cin, int cout) {
  return {.src = {1, 64, 64, cin}, .dst = {1, 64, 64, cout}, .kernel = 1, .dtype = DType::kF16};
}

TEST_CASE("cuDNN plans the network's fused convolutions") {
  constexpr int kMost = 3;
  Conv dilated{.src = {16, 64, 64, 256}, .dst = {16, 64, 64, 256}, .kernel = 3, .dilation = 2, .pad = 2};
  dilated.dtype = DType::kF16, dilated.relu = true;
  Conv stem{.src = {1, 512, 512, 4}, .dst = {1, 256, 256, 64}, .kernel = 7, .stride = 2, .pad = 3};
  stem.dtype = DType::kBF16, stem.relu = true;
  Conv with_residual = pointwise(256, 1024);
  with_residual.residual = with_residual.relu = true;
  for (const Conv& problem : {dilated, stem, with_residual, pointwise(1024, 2048), pointwise(512, 1)}) {
    const ConvPeers peers = cudnn_peers_for(kH100, problem, kMost);
    CAPTURE(peers.name);
    CAPTURE(peers.why_none);
    CAPTURE(problem.kernel);
    CHECK(peers.name.starts_with("cuDNN 9."));
    CHECK(!peers.choices.empty());
    CHECK(peers.choices.size() <= kMost);
    for (const auto& choice : peers.choices) CHECK(choice->algorithm().starts_with("cuDNN engine "));
  }
}

TEST_CASE("cuDNN is asked nothing that makes no sense") {
  Conv wrong = pointwise(256, 256);
  wrong.dst.h = 63;  // does not follow from src
  const ConvPeers peers = cudnn_peers_for(kH100, wrong, 1);
  CHECK(peers.choices.empty());
  CHECK(peers.why_none.starts_with("cuDNN could not"));
  CHECK(cudnn_peers_for("{}", pointwise(256, 256), 1).why_none.starts_with("cuDNN could not describe a device"));
}

TEST_CASE("cuBLASLt takes 1x1 convolutions with stride 1, and says why it cannot start") {
  Conv strided = pointwise(256, 512);
  strided.stride = 2, strided.dst = {1, 32, 32, 512};
  CHECK(cublaslt_peers(strided, 1).why_none.find("1x1 convolution with stride 1") != std::string::npos);
  const ConvPeers peers = cublaslt_peers(pointwise(256, 512), 4);
  CHECK(peers.name.starts_with("cuBLASLt"));
  if (peers.choices.empty()) CHECK(peers.why_none.starts_with("cuBLASLt could not"));
}

}  // namespace
}  // namespace mfs::bench
