// Minimal traffic and arithmetic of an operation: each input byte read once, each output byte written once.
#pragma once

#include <cstdint>

namespace mfs::core {

struct Cost {
  std::int64_t bytes_read = 0;
  std::int64_t bytes_written = 0;
  std::int64_t flops = 0;  // a multiply-add counts two

  Cost& operator+=(const Cost& o) {
    bytes_read += o.bytes_read, bytes_written += o.bytes_written, flops += o.flops;
    return *this;
  }
};

}  // namespace mfs::core
