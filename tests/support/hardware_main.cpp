// main() of the tests that need a GPU: without one they are skipped, and say so.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "kernels/cuda/device.h"

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  std::string why_none;
  if (mfs::core::cuda_devices(why_none).empty()) {
    std::printf("skipped: %s\n", why_none.c_str());
    return kSkipped;
  }
  return doctest::Context(argc, argv).run();
}
