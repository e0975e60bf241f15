#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/runtime/guarantees/support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

namespace mfs::test {
namespace {
bool is_long = false;
}

bool long_form() { return is_long; }

Photo::Photo(int width, int height, std::uint32_t seed)
    : pixels(std::size_t(width) * std::size_t(height) * 3), mask(pixels.size() / 3), probability(mask.size()) {
  for (std::uint8_t& p : pixels) p = static_cast<std::uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  image = {pixels.data(), width, height, 0, MFS_RGB};
  tap = {static_cast<float>(width) / 3, static_cast<float>(height) / 2};
  outputs.struct_size = sizeof outputs;
  outputs.mask = mask.data(), outputs.probability = probability.data();
  request = {&image, &tap, 1, &outputs};
}

}  // namespace mfs::test

// doctest's options, and --long for what takes minutes.
int main(int argc, char** argv) {
  std::vector<char*> rest;
  for (int i = 0; i < argc; ++i) {
    if (std::strcmp(argv[i], "--long") == 0)
      mfs::test::is_long = true;
    else
      rest.push_back(argv[i]);
  }
  doctest::Context context(static_cast<int>(rest.size()), rest.data());
  return context.run();
}
