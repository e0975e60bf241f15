// What the tests of the guarantees share: the form of the test, a network and its photo, runs through the C interface.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mfs/mfs.h"
#include "tests/runtime/golden_network.h"

namespace mfs::test {

bool long_form();  // --long on the command line

// Buffers of one photo, made once: what runs with them allocates is not the test's doing.
struct Photo {
  Photo(int width, int height, std::uint32_t seed);
  Photo(const Photo&) = delete;

  mfs_image image{};
  mfs_point tap{};
  mfs_outputs outputs{};
  mfs_request request{};
  std::vector<std::uint8_t> pixels, mask;
  std::vector<float> probability;
};

}  // namespace mfs::test
