// The orientation a camera noted in its photo: which way is up.
#pragma once

#include "tools/bytes.h"

namespace mfs::tools {

// EXIF tag 0x0112 of a TIFF structure (the content of a JPEG's APP1 after "Exif\0\0", or of a PNG's eXIf chunk): 1 to 8;
// 1 (upright) when it is absent or the structure is damaged, for a photo is worth more than its metadata.
int exif_orientation(Bytes tiff);

}  // namespace mfs::tools
