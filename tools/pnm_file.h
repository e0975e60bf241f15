// PBM, PGM and PPM images (P1 to P6), 8 and 16 bit. Read here because stb_image neither reads text and bitmap files nor scales
// by the maximum value, and its 2.27 reads past the end of 16-bit ones.
#pragma once

#include <vector>

#include "tools/image_header.h"

namespace mfs::tools {

bool looks_like_pnm(Bytes file);
ImageHeader read_pnm_header(Bytes file);

// width * height RGB pixels, values scaled to 0..255 and rounded. Throws ImageError.
std::vector<std::uint8_t> decode_pnm(Bytes file);

}  // namespace mfs::tools
