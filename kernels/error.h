// The one exception of loading and planning; never thrown on the run path, never crosses the public border.
#pragma once

#include <stdexcept>
#include <string>

#include "kernels/status.h"

namespace mfs::core {

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

}  // namespace mfs::core
