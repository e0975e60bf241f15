// Compiled without warnings and without UBSan (CMakeLists.txt): stb shifts signed numbers left on damaged files, by design.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include "tools/stb.h"

namespace {
thread_local std::size_t most_bytes = 0;  // stb passes no context to its allocator
}

void mfs_stb_limit_growth(std::size_t bytes) { most_bytes = bytes; }
void* mfs_stb_realloc(void* block, std::size_t size) { return size > most_bytes ? nullptr : std::realloc(block, size); }
