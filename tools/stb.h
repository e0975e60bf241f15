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
#define STBI_REALLOC(block, size) mfs_stb_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_WRITE_NO_STDIO

// A few compressed bytes can swell to gigabytes that the image has no room for: what stb lets grow in this thread ends at the
// limit set here, as if memory were out.
void mfs_stb_limit_growth(std::size_t bytes);
void* mfs_stb_realloc(void* block, std::size_t size);

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
