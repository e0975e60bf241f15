// What --clicks names.
#pragma once

#include <optional>
#include <string>

#include "tools/clicks.h"

namespace mfs::tools {

// Nothing for an empty path. Throws UsageError with one sentence for a file that cannot be read or is no such file.
std::optional<ClicksFile> read_clicks(const std::string& path);

}  // namespace mfs::tools
