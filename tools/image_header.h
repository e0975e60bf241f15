// What an image file says about itself, checked before a pixel is decoded. The checks are strict where stb_image is lenient:
// it fills in what a truncated file lacks, and its 2.27 trusts Huffman counts, sampling factors and BMP offsets.
#pragma once

#include <stdexcept>
#include <string>

#include "tools/bytes.h"

namespace mfs::tools {

// One sentence, to be read after "FILE: ".
struct ImageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr std::int64_t kMaxSide = 30'000, kMaxPixels = 256'000'000;

enum class ImageFormat { kJpeg, kPng, kBmp, kTga, kPnm };

struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  std::int64_t width = 0, height = 0;  // as stored, before the EXIF orientation is applied
  int orientation = 1;                 // EXIF, 1..8
};

// Throws ImageError: an empty or unknown file (named by its first bytes), a kind of JPEG, PNG, BMP, TGA or PNM that is not
// supported (CMYK, 12 bit, run-length coded BMP, ...), a damaged or truncated file, an image over the limits above.
ImageHeader read_image_header(Bytes file);

// The formats' own parts of the above; `file` starts with the format's magic bytes (TGA has none).
ImageHeader read_jpeg_header(Bytes file);
ImageHeader read_png_header(Bytes file);
ImageHeader read_bmp_header(Bytes file);
ImageHeader read_tga_header(Bytes file);
bool looks_like_tga(Bytes file);

// Throws when a side is 0 or a limit is exceeded; the formats call it before they size anything by the image.
void check_image_size(std::int64_t width, std::int64_t height);

}  // namespace mfs::tools
