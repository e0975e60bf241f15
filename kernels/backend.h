// What a kernel needs to know about where it runs.
#pragma once

namespace mfs::core {

// Host execution on `threads` OpenMP threads, the calling one included.
struct Cpu {
  int threads = 1;
};

}  // namespace mfs::core
