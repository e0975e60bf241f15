// tools -> runtime -> layers -> kernels: the architecture, checked on the include lines.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
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
