// Pixels to the bytes of an image file.
#pragma once

#include <span>
#include <vector>

#include "tools/bytes.h"

namespace mfs::tools {

// Rows without gaps; 1 (grey), 3 (RGB) or 4 (RGBA) channels of 8 bits.
std::vector<std::uint8_t> encode_png(Bytes pixels, int width, int height, int channels);
// RGB; quality 92, without chroma subsampling.
std::vector<std::uint8_t> encode_jpeg(Bytes rgb, int width, int height);

// A map of probabilities: as a 16-bit grey PNG, round(65535 p), or as a NumPy array of float32, shape (height, width).
std::vector<std::uint8_t> encode_png16(std::span<const float> probability, int width, int height);
std::vector<std::uint8_t> encode_npy(std::span<const float> probability, int width, int height);

}  // namespace mfs::tools
