// The weights that a program runs.
#pragma once

#include <string>

#include "tools/command_line.h"
#include "tools/console.h"

namespace mfs::tools {

// The checkpoint that belongs to this program: installed beside it, or in the source tree it was built in. Throws Error
// (MFS_BAD_WEIGHTS) that names the places searched.
std::string find_weights();

// Loads the weights; a verbose console tells what was found and chosen. Throws mfs::Error. `console` must outlive the model.
Model load_model(const std::string& weights, const NetworkOptions& options, Console& console);

}  // namespace mfs::tools
