// What can be checked on the lines of the sources: tools -> runtime -> layers -> kernels, the architecture, and the first
// statement of every kernel.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

namespace {

// Which of our folders a folder may include from.
const std::map<std::string, std::set<std::string>> kAllowed{
    {"kernels", {"kernels"}},
    {"weights", {"weights", "kernels"}},
    {"layers", {"layers", "weights", "kernels"}},
    {"runtime", {"runtime", "layers", "weights", "kernels", "mfs"}},
    {"tools", {"tools", "mfs"}},
};
const std::set<std::string> kOurs{"kernels", "weights", "layers", "runtime", "tools", "tests", "benchmarks", "mfs"};

}  // namespace

TEST_CASE("includes point one way") {
  int checked = 0;
  for (const auto& [folder, allowed] : kAllowed) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(MFS_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".hpp" && extension != ".cpp" && extension != ".cu" && extension != ".cuh")
        continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("#include \"")) continue;
        const std::string target = line.substr(10, line.find('/') - 10);
        if (!kOurs.contains(target)) continue;
        CAPTURE(entry.path().string());
        CAPTURE(line);
        CHECK(allowed.contains(target));
        ++checked;
      }
    }
  }
  CHECK(checked > 100);
}

// A kernel that did not wait would let the next but one start beside the one before it. The emulator sees every thread of those
// that tests run; here are all of them.
TEST_CASE("the first that a CUDA kernel does is to wait for those before it") {
  const std::string wait = "simt::grid_dependency_wait();";
  // These prepare something before, in a class: conv_mma.h, conv_hopper.h, stem_hopper.h.
  const std::set<std::string> kLater{"conv_mma_kernel", "conv_hopper_kernel", "stem_hopper_kernel"};
  int kernels = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(MFS_SOURCE_DIR) / "kernels/cuda")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (std::size_t at = text.find("MFS_KERNEL void"); at != std::string::npos; at = text.find("MFS_KERNEL void", at + 1)) {
      const std::size_t body = text.find(") {\n", at), end = text.rfind("_kernel(", body) + std::strlen("_kernel");
      const std::size_t begin = text.find_last_of(" \n", end) + 1, first = text.find_first_not_of(" \n", body + 3);
      const std::string name = text.substr(begin, end - begin);
      CAPTURE(entry.path().string());
      CAPTURE(name);
      CHECK((text.compare(first, wait.size(), wait) == 0 || kLater.contains(name)));
      ++kernels;
    }
  }
  CHECK(kernels > 20);
}
