#include "tools/read_clicks.h"

#include "tools/atomic_file.h"
#include "tools/command_line.h"

namespace mfs::tools {

std::optional<ClicksFile> read_clicks(const std::string& path) {
  if (path.empty()) return std::nullopt;
  try {
    const std::vector<std::uint8_t> content = read_file(path);
    return ClicksFile({reinterpret_cast<const char*>(content.data()), content.size()});
  } catch (const FileError& error) {
    throw UsageError(std::string("--clicks: ") + error.what());
  } catch (const ClicksError& error) {
    throw UsageError("--clicks: '" + path + "' " + error.what());
  }
}

}  // namespace mfs::tools
