#include "tools/load_model.h"

#include <filesystem>

namespace mfs::tools {
namespace {

void log_to_console(void* console, const char* message) { static_cast<Console*>(console)->detail(message); }

}  // namespace

std::string find_weights() {
  namespace fs = std::filesystem;
  constexpr const char* kName = "mfs-small.safetensors";
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::string searched;
  for (const char* place : {"../share/mfs", "../../weights"}) {
    const fs::path candidate = (folder / place / kName).lexically_normal();
    if (fs::exists(candidate, error)) return candidate.string();
    searched += (searched.empty() ? "" : " and ") + candidate.string();
  }
  throw Error(MFS_BAD_WEIGHTS, "no weights found (looked for " + searched + "); name a file with --weights");
}

Model load_model(const std::string& weights, const NetworkOptions& o, Console& console) {
  Model model(weights, {o.device, o.precision, o.threads, log_to_console, &console});
  const ModelInfo info = model.info();
  console.detail(weights + ": " + info.variant + ", " + info.device + ", " + info.precision + ", " +
                 std::to_string(info.threads) + " threads, trained at " + std::to_string(info.network_width) + "x" +
                 std::to_string(info.network_height));
  return model;
}

}  // namespace mfs::tools
