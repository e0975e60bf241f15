// The small images of data/ (make_images.py says what they show).
#pragma once

#include <string>
#include <vector>

#include "tools/atomic_file.h"

namespace mfs::tools::test {

inline constexpr const char* kReadable[] = {"colour.png",     "alpha.png",  "grey.png",   "grey_alpha.png", "palette.png",
                                            "bits.png",       "deep.png",   "colour.bmp", "palette.bmp",    "bits.bmp",
                                            "interlaced.png", "colour.tga", "runs.tga",   "palette.tga",    "colour.ppm",
                                            "grey.pgm",       "bits.pbm",   "grey.jpg",   "rotated.jpg",    "progressive.jpg"};

inline std::vector<std::uint8_t> image_file(const std::string& name) {
  return read_file(std::string(MFS_TEST_DATA) + "/data/" + name);
}

}  // namespace mfs::tools::test
