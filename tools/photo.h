// A photo as people see it: decoded, upright, 8 bits per channel.
#pragma once

#include <vector>

#include "mfs/mfs.hpp"
#include "tools/bytes.h"
#include "tools/image_header.h"

namespace mfs::tools {

struct Photo {
  int width = 0, height = 0, channels = 3;  // 3: RGB; 4: RGBA
  int orientation = 1;                      // the EXIF orientation that was applied
  std::vector<std::uint8_t> pixels;         // rows without gaps

  Image view() const { return {pixels.data(), width, height, 0, channels == 4 ? MFS_RGBA : MFS_RGB}; }
};

// Decodes a JPEG, PNG, BMP, TGA or PNM file: grey and palettes become RGB, 16 bit becomes 8 by round(v / 257), alpha is kept,
// the EXIF orientation is applied. Throws ImageError with one sentence.
Photo decode_photo(Bytes file);
Photo decode_photo(Bytes file, const ImageHeader& header);  // as read_image_header() gave it

}  // namespace mfs::tools
