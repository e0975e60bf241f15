// Any bytes as a photo: an upright image of the size its header says, or a sentence.
#include <cstdlib>

#include "tools/image_header.h"
#include "tools/photo.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const mfs::tools::Photo photo = mfs::tools::decode_photo({data, size});
    const auto pixels = static_cast<std::size_t>(photo.width) * static_cast<std::size_t>(photo.height);
    if (pixels == 0 || photo.pixels.size() != pixels * static_cast<std::size_t>(photo.channels)) std::abort();
  } catch (const mfs::tools::ImageError& error) {
    if (error.what()[0] == '\0') std::abort();
  }
  return 0;
}
