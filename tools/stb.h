// stb_image and stb_image_write (Debian: libstb-dev), limited to what the tools use. stb.cpp holds their bodies.
#pragma once

#include <cstdlib>

#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_ASSERT(condition) ((void)0)  // a damaged file must not abort
// Zeroed memory, so that a damaged file decodes to the same pixels every time, and a table it lacks is a table of zeros.
#define STBI_MALLOC(size) std::calloc(1, size)
#define STBI_REALLOC(block, size) std::realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_WRITE_NO_STDIO

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

// Public but undeclared in stb_image_write.h. Returns a zlib stream to be freed, null when out of memory.
extern "C" unsigned char* stbi_zlib_compress(unsigned char* data, int data_len, int* out_len, int quality);
